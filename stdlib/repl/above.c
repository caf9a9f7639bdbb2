/*
** above.c - what scripts print goes above the line that is edited.
**
** stdout and stderr, for C and for Lua's io, become streams whose write
** function takes the line off the screen first; screen.c puts it back. What
** is written to the descriptors themselves is not seen here.
*/
#define _GNU_SOURCE /* fopencookie */

#include "editor.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

typedef struct stream {
  const char *name;  /* in the table io */
  FILE **global;     /* the variable of C */
  int fd;
  luaL_Stream *lua;  /* what `name` was: in the registry, by this address */
  FILE *real;        /* what both were before */
  FILE *ours;        /* NULL: closed */
} stream;

static stream streams[] = {
  {"stdout", &stdout, STDOUT_FILENO, NULL, NULL, NULL},
  {"stderr", &stderr, STDERR_FILENO, NULL, NULL, NULL}
};
#define NSTREAMS ((int)(sizeof streams / sizeof streams[0]))

static int column;   /* where the last line of output ends, counted through its
                        rows; 0: it is finished */
static int ended;    /* a newline was put behind it, for the edited line */
static int escaping; /* in an escape sequence: nobody knows the column */

/* How many columns the screen has. */
static int screen_columns(void) {
  int columns = 0;
  (void)el_wget(neap__editor_here.el, EL_GETTC, "co", &columns);
  return columns > 0 ? columns : 1;
}

/* Follows the cursor through what is written. */
static void follow(const char *text, size_t size) {
  int columns = screen_columns();
  while (size > 0) {
    wchar_t c;
    int length = neap__text_decode((const unsigned char *)text, size, &c);
    if (length == 0) { /* the rest of the character comes later */
      column++;
      return;
    }
    if (c == L'\n' || c == L'\r') {
      column = 0;
      escaping = 0;
    } else if (c == L'\033') {
      escaping = 1;
    } else if ((*text & 0xC0) != 0x80) { /* else: that rest */
      int width = neap__text_width(c, column);
      if (width > 1 && column % columns + width > columns)
        column += columns - column % columns; /* it begins the next row */
      column += width > 0 ? width : 0;
    }
    text += length;
    size -= (size_t)length;
  }
}

static int write_all(int fd, const char *text, size_t size) {
  while (size > 0) {
    ssize_t n = write(fd, text, size);
    if (n > 0) {
      text += n;
      size -= (size_t)n;
    } else if (errno == EAGAIN) { /* somebody has made the terminal so */
      struct pollfd p = {fd, POLLOUT, 0};
      (void)poll(&p, 1, -1);
    } else if (errno != EINTR) {
      return -1;
    }
  }
  return 0;
}

static ssize_t on_write(void *cookie, const char *text, size_t size) {
  const stream *s = cookie;
  locale_t before = uselocale(neap__editor_here.locale);
  int status;
  neap__screen_hide();
  status = write_all(s->fd, text, size);
  follow(text, size);
  (void)uselocale(before);
  return status == 0 ? (ssize_t)size : -1;
}

void neap__above_begin_line(void) {
  neap__above_end_line();
  column = 0;
  ended = 0;
}

void neap__above_end_line(void) {
  if (column > 0 && write_all(STDOUT_FILENO, "\n", 1) == 0)
    ended = 1;
}

void neap__above_resume_line(void) {
  int in_row = column % screen_columns(); /* 0: the next row goes on with it */
  if (ended && !escaping && in_row > 0)
    fprintf(neap__editor_here.out, "\033[A\033[%dC", in_row);
  else if (ended)
    column = 0;
  ended = 0;
}

/* Finds Lua's stream, which is kept: to the end it has our file in it. */
static void find_lua(lua_State *L, stream *s) {
  s->lua = NULL;
  if (lua_getglobal(L, "io") == LUA_TTABLE) {
    lua_getfield(L, -1, s->name);
    s->lua = luaL_testudata(L, -1, LUA_FILEHANDLE);
    lua_rawsetp(L, LUA_REGISTRYINDEX, s);
  }
  lua_pop(L, 1);
}

/* Makes `to` what scripts write to: in C, and in Lua. */
static void replace(stream *s, FILE *from, FILE *to) {
  if (*s->global == from)
    *s->global = to;
  if (s->lua != NULL && s->lua->f == from)
    s->lua->f = to;
}

int neap__above_open(lua_State *L) {
  static const cookie_io_functions_t functions = {NULL, on_write, NULL, NULL};
  int i;
  for (i = 0; i < NSTREAMS; i++) {
    stream *s = &streams[i];
    if (!isatty(s->fd))
      continue;
    find_lua(L, s);
    s->ours = fopencookie(s, "w", functions);
    if (s->ours == NULL)
      return -1;
    s->real = *s->global;
    (void)fflush(s->real);
    (void)setvbuf(s->ours, NULL, s->fd == STDERR_FILENO ? _IONBF : _IOLBF,
                  BUFSIZ);
    replace(s, s->real, s->ours);
  }
  return 0;
}

void neap__above_close(void) {
  int i;
  for (i = 0; i < NSTREAMS; i++) {
    stream *s = &streams[i];
    if (s->ours == NULL)
      continue;
    replace(s, s->ours, s->real);
    (void)fclose(s->ours);
    s->ours = NULL;
  }
}

void neap__above_flush(void) {
  int i;
  for (i = 0; i < NSTREAMS; i++) {
    if (streams[i].ours != NULL)
      (void)fflush(streams[i].ours);
  }
}
