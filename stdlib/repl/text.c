/*
** text.c - UTF-8 and wide characters.
*/
#define _GNU_SOURCE /* wcwidth */

#include "editor.h"

#include <stdlib.h>
#include <wchar.h>
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

/* How many characters begin the text that take no room on the screen: those
   that readline's marks say so of, \1 and \2, or an escape sequence. */
static size_t hidden_length(const wchar_t *text) {
  size_t n = 2;
  if (text[0] == L'\1')
    return wcscspn(text, L"\2") + (wcschr(text, L'\2') != NULL);
  if (text[0] != L'\033' || text[1] == L'\0')
    return text[0] == L'\033' || text[0] == L'\2';
  if (text[1] == L']') { /* up to BEL, or ESC and a backslash */
    n += wcscspn(text + n, L"\a\033");
    if (text[n] == L'\033' && text[n + 1] == L'\\')
      n++;
  } else if (text[1] != L'[') {
    return 2;
  } else {
    while (text[n] >= L' ' && text[n] < L'@')
      n++;
  }
  return n + (text[n] != L'\0');
}

/* libedit writes what is hidden together with the character behind it: where
   that is missing, a space that stands before it, or a new one. The prompt has
   so many characters, the last hidden ones from `from` on. */
static size_t close_hidden(wchar_t *prompt, size_t from, size_t n) {
  if (from > 0 && prompt[from - 1] == L' ') {
    size_t gap = from > 1 && prompt[from - 2] == NEAP__TEXT_MARK ? 3 : 1;
    size_t to = gap == 3 ? from - 2 : from - 1;
    wmemmove(prompt + to, prompt + to + gap, n - to - gap);
    n -= gap;
  }
  prompt[n++] = NEAP__TEXT_MARK;
  prompt[n++] = L' ';
  return n;
}

wchar_t *neap__text_prompt(const char *text, size_t size) {
  wchar_t *wide = neap__text_wide(text, size), *p = wide, *prompt;
  size_t n = 0, from = 0, hidden;
  int is_open = 0; /* behind a mark that begins what is hidden */
  prompt = malloc((3 * size + 4) * sizeof *prompt);
  while (prompt != NULL && p != NULL && *p != L'\0') {
    hidden = hidden_length(p);
    if ((hidden > 0) != is_open) {
      from = n;
      prompt[n++] = NEAP__TEXT_MARK;
    }
    is_open = hidden > 0;
    if (!is_open)
      prompt[n++] = *p++;
    for (; hidden > 0; hidden--, p++) {
      if (*p != L'\1' && *p != L'\2')
        prompt[n++] = *p;
    }
  }
  free(wide);
  if (prompt == NULL || p == NULL) {
    free(prompt);
    return NULL;
  }
  if (is_open)
    n = close_hidden(prompt, from, n);
  prompt[n] = L'\0';
  return prompt;
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
