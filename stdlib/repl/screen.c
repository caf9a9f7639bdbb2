/*
** screen.c - the line that is edited, on the screen: where libedit has it, off
** it for output, and back.
*/
#include "editor.h"

#include <sys/ioctl.h>
#include <unistd.h>

#define NARROWEST 10 /* columns: libedit, which shows \U+12345 in one row,
                        writes behind the end of a shorter one */

#define here neap__editor_here

typedef struct place {
  int row;
  int column;
} place;

void neap__screen_size(int *rows, int *columns) {
  struct winsize size;
  *rows = 24;
  *columns = 80;
  if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 &&
      size.ws_row > 0) {
    *rows = size.ws_row;
    *columns = size.ws_col > NARROWEST ? size.ws_col : NARROWEST;
  }
}

void neap__screen_resize(void) {
  wchar_t text[8];
  int rows, columns;
  el_resize(here.el);
  neap__screen_size(&rows, &columns);
  (void)swprintf(text, sizeof text / sizeof *text, L"%d", columns);
  (void)el_wset(here.el, EL_SETTC, L"co", text, NULL);
}

/* Goes over a text as libedit shows it. */
static void go_over(place *p, const wchar_t *text, const wchar_t *end,
                    int columns) {
  for (; text < end; text++) {
    int width;
    if (*text == NEAP__TEXT_MARK) {
      text = wcschr(text + 1, NEAP__TEXT_MARK);
      text++;
    }
    width = neap__text_width(*text, p->column);
    if (*text == L'\n' || p->column + width > columns) {
      p->row++;
      p->column = *text == L'\n' ? 0 : width;
    } else {
      p->column += width;
    }
    if (p->column >= columns) {
      p->row++;
      p->column = 0;
    }
  }
}

/* Where the cursor is, and how many rows of the line are below it. */
static int find_cursor(place *cursor) {
  const LineInfoW *line = el_wline(here.el);
  int rows, columns;
  place end;
  neap__screen_size(&rows, &columns);
  cursor->row = cursor->column = 0;
  go_over(cursor, here.prompt, here.prompt + wcslen(here.prompt), columns);
  go_over(cursor, line->buffer, line->cursor, columns);
  end = *cursor;
  go_over(&end, line->cursor, line->lastchar, columns);
  if (end.row >= rows) { /* libedit shows the last ones */
    int above = end.row - rows + 1;
    cursor->row = cursor->row > above ? cursor->row - above : 0;
    end.row = rows - 1;
  }
  return end.row - cursor->row;
}

void neap__screen_hide(void) {
  place cursor;
  if (!here.editing || here.hidden)
    return;
  here.hidden = 1;
  (void)find_cursor(&cursor);
  fputs("\r", here.out);
  if (cursor.row > 0)
    fprintf(here.out, "\033[%dA", cursor.row);
  fputs("\033[J", here.out);
  neap__above_resume_line();
  (void)fflush(here.out);
}

void neap__screen_show(void) {
  neap__above_flush();
  if (!here.hidden)
    return;
  here.hidden = 0;
  neap__above_end_line();
  (void)el_wset(here.el, EL_REFRESH);
}

void neap__screen_leave_line(void) {
  place cursor;
  int below = find_cursor(&cursor);
  while (below-- >= 0)
    fputs("\n", here.out);
  (void)fflush(here.out);
}

/* Whether the line has more rows than the screen. */
static int is_too_long(const LineInfoW *line) {
  int rows, columns;
  place end = {0, 0};
  neap__screen_size(&rows, &columns);
  if (line->lastchar - line->buffer < rows * columns / 8)
    return 0; /* the widest character has 8 columns */
  go_over(&end, here.prompt, here.prompt + wcslen(here.prompt), columns);
  go_over(&end, line->buffer, line->lastchar, columns);
  return end.row >= rows;
}

/* libedit does not know where its cursor is when that goes to a row which the
   screen has no room for, and would write the next character to memory that is
   not its own: so all is drawn again, but behind characters that are added at
   the end. */
void neap__screen_find_place(void) {
  const LineInfoW *line = el_wline(here.el);
  ptrdiff_t at = line->cursor - line->buffer;
  ptrdiff_t length = line->lastchar - line->buffer;
  int is_added = at == length && here.at == here.length && length > here.length;
  int is_same = at == here.at && length == here.length;
  here.at = at;
  here.length = length;
  if (!is_added && !is_same && !here.hidden && is_too_long(line))
    (void)el_wset(here.el, EL_REFRESH);
}
