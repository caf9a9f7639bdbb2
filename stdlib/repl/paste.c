/*
** paste.c - what the terminal says is pasted: read whole, shown, given to the
** line or, if it has several lines, to the reader.
*/
#define _GNU_SOURCE /* memrchr */

#include "editor.h"

#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#define PASTE_END "\033[201~"
#define here neap__editor_here

/* Reads what is pasted, up to its end; NULL: it has none, or no memory. */
static char *read_paste(size_t *size) {
  static const size_t end = sizeof PASTE_END - 1;
  size_t room = 0, n = 0;
  int byte = 0, before;
  char *text = NULL;
  for (;;) {
    before = byte;
    byte = neap__editor_next_byte();
    if (byte == '\n' && before == '\r')
      continue; /* a line that ends with both */
    if (n == room) {
      size_t larger = room == 0 ? 1024 : 2 * room;
      char *moved = byte >= 0 ? realloc(text, larger) : NULL;
      if (moved == NULL)
        break;
      text = moved;
      room = larger;
    }
    if (byte < 0)
      break;
    text[n++] = (char)(byte == '\r' ? '\n' : byte);
    if (n >= end && memcmp(text + n - end, PASTE_END, end) == 0) {
      *size = n - end;
      return text;
    }
  }
  free(text);
  return NULL;
}

/* Shows what was pasted, which may be anything, in place of what is behind the
   cursor. */
static void show_paste(const char *text, size_t size) {
  fputs("\033[J", here.out);
  while (size > 0) {
    wchar_t c;
    int length = neap__text_decode((const unsigned char *)text, size, &c);
    if (length == 0 || !(iswprint((wint_t)c) || c == L'\n' || c == L'\t')) {
      length = length > 0 ? length : 1;
      fputc('?', here.out);
    } else {
      (void)fwrite(text, 1, (size_t)length, here.out);
    }
    text += length;
    size -= (size_t)length;
  }
  (void)fflush(here.out);
}

/* The terminal begins to send what the user has pasted. Several lines end the
   read: they belong together. */
unsigned char neap__paste(EditLine *el, wint_t key) {
  size_t size;
  char *text = read_paste(&size), *last;
  (void)el;
  (void)key;
  if (text == NULL)
    return CC_ERROR;
  last = memrchr(text, '\n', size);
  if (last == NULL) {
    neap__editor_insert(text, size);
    free(text);
    return CC_REFRESH;
  }
  here.pasted = text;
  here.pasted_size = size;
  show_paste(text, (size_t)(last - text) + 1);
  return CC_EOF;
}

void neap__paste_push(lua_State *L) {
  const LineInfoW *line = el_wline(here.el);
  const char *text = here.pasted;
  size_t first = (size_t)((const char *)memrchr(text, '\n', here.pasted_size) -
                          text);
  neap__text_push(L, line->buffer, (size_t)(line->cursor - line->buffer));
  lua_pushlstring(L, text, first);
  lua_concat(L, 2);
  lua_pushlstring(L, text + first + 1, here.pasted_size - first - 1);
  neap__text_push(L, line->cursor, (size_t)(line->lastchar - line->cursor));
  lua_concat(L, 2);
}
