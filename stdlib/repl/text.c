/*
** text.c - UTF-8 and wide characters.
*/
#define _GNU_SOURCE /* wcwidth */

#include "editor.h"

#include <stdlib.h>
#include <wctype.h>

#define BYTE 0xDC00 /* of a byte that is not UTF-8; no text has these */

int neap__text_decode(const unsigned char *bytes, size_t size, wchar_t *c) {
  static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
  unsigned value, first = bytes[0];
  size_t i, length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2
                   : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  value = length < 2 ? first : first & (0x7Fu >> length);
  for (i = 1; i < length; i++) {
    if (i == size)
      return 0;
    if ((bytes[i] & 0xC0) != 0x80)
      break;
    value = value << 6 | (bytes[i] & 0x3F);
  }
  if (i < length || length == 0 || value < least[length] ||
      value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
    *c = (wchar_t)(BYTE + first);
    return 1;
  }
  *c = (wchar_t)value;
  return (int)length;
}

wchar_t *neap__text_wide(const char *text, size_t size) {
  wchar_t *wide = malloc((size + 1) * sizeof *wide);
  size_t n = 0;
  if (wide == NULL)
    return NULL;
  while (size > 0) {
    const unsigned char *bytes = (const unsigned char *)text;
    int length = neap__text_decode(bytes, size, &wide[n]);
    if (length == 0) { /* cut off at the end */
      wide[n] = (wchar_t)(BYTE + bytes[0]);
      length = 1;
    }
    n++;
    text += length;
    size -= (size_t)length;
  }
  wide[n] = L'\0';
  return wide;
}

void neap__text_push(lua_State *L, const wchar_t *text, size_t size) {
  luaL_Buffer b;
  size_t i;
  luaL_buffinit(L, &b);
  for (i = 0; i < size; i++) {
    unsigned c = (unsigned)text[i];
    if (c < 0x80 || (c >= BYTE + 0x80 && c <= BYTE + 0xFF)) {
      luaL_addchar(&b, (char)(c & 0xFF));
    } else {
      lua_pushfstring(L, "%U", (long)c);
      luaL_addvalue(&b);
    }
  }
  luaL_pushresult(&b);
}

int neap__text_width(wchar_t c, int column) {
  if (c == L'\t')
    return 8 - (column & 7);
  if (c == L'\n')
    return 0;
  if (c < 0x100 && iswcntrl((wint_t)c))
    return 2; /* ^A */
  if (!iswprint((wint_t)c))
    return c > 0xFFFF ? 8 : 7; /* \U+DC80 */
  return wcwidth(c);
}
