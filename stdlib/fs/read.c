/*
** read.c - reading from a File, by the formats of Lua's io.
**
** A read first looks at what was read ahead. What is not there, a thread
** reads on for until all its formats are satisfied, or the file ends; then
** the task takes it. So a read that is cancelled loses nothing.
*/
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

#define CHUNK ((size_t)65536)     /* that is read ahead */
#define MOST_HINT ((size_t)1 << 24) /* room for what may not come */
#define LONGEST_NUMBER 200        /* as in Lua's io */

enum { ENOUGH, MORE, OVERRUN };

/* {======================================================
** Looking for what is wanted
** ======================================================= */

/* A way through the bytes. */
typedef struct cursor {
  const char *s;
  size_t at, end;
} cursor;

static int peek(const cursor *c) {
  return c->at < c->end ? (unsigned char)c->s[c->at] : -1;
}

/* Goes on over one of two characters, if it comes. */
static int skip_one(cursor *c, int a, int b) {
  int next = peek(c);
  if (next < 0 || (next != a && next != b))
    return 0;
  c->at++;
  return 1;
}

static size_t skip_digits(cursor *c, int is_hex) {
  size_t begin = c->at;
  while (peek(c) >= 0 && (is_hex ? isxdigit(peek(c)) : isdigit(peek(c))))
    c->at++;
  return c->at - begin;
}

/* Goes on over what may be a number; MORE: it may go on behind what there
   is. */
static int find_number(cursor c, int ended, fs__want *want, size_t *next) {
  size_t begin, end = c.end, digits;
  int is_hex = 0;
  while (peek(&c) >= 0 && isspace(peek(&c)))
    c.at++;
  begin = c.at;
  if (c.end - begin > LONGEST_NUMBER)
    c.end = begin + LONGEST_NUMBER + 1;
  (void)skip_one(&c, '+', '-');
  digits = skip_one(&c, '0', '0');
  if (digits > 0 && skip_one(&c, 'x', 'X')) {
    is_hex = 1;
    digits = 0;
  }
  digits += skip_digits(&c, is_hex);
  if (skip_one(&c, '.', '.'))
    digits += skip_digits(&c, is_hex);
  if (digits > 0 && skip_one(&c, is_hex ? 'p' : 'e', is_hex ? 'P' : 'E')) {
    (void)skip_one(&c, '+', '-');
    (void)skip_digits(&c, 0);
  }
  if (c.at == end && !ended)
    return MORE;
  want->at = begin;
  want->len = c.at - begin;
  want->found = want->len > 0; /* whether it is a number, Lua will tell */
  if (want->len > LONGEST_NUMBER) {
    want->found = 0;
    want->len = LONGEST_NUMBER;
  }
  *next = begin + want->len;
  return ENOUGH;
}

static int find_line(const cursor *c, size_t limit, int ended, fs__want *want,
                     size_t *next) {
  size_t left = c->end - c->at;
  const char *s = c->s + c->at,
             *newline = (const char *)memchr(s, '\n', left);
  if ((newline != NULL ? (size_t)(newline - s) : left) > limit)
    return OVERRUN;
  if (newline == NULL && !ended)
    return MORE;
  want->found = left > 0;
  want->at = c->at;
  want->len = newline == NULL ? left : (size_t)(newline - s);
  *next = c->at + want->len + (newline != NULL);
  if (want->kind == 'L')
    want->len = *next - c->at;
  return ENOUGH;
}

/* The first byte that was not taken. */
static const char *ahead(const fs__file *file) {
  return file->len > 0 ? file->data + file->start : "";
}

/* Looks for one thing from *next on, and then sets it behind that. */
static int find(const fs__file *file, fs__want *want, int ended,
                size_t *next) {
  cursor c = {ahead(file), *next, file->len};
  size_t left = c.end - c.at;
  switch (want->kind) {
  case 'n':
    return find_number(c, ended, want, next);
  case '#':
    if (left < want->n + (want->n == 0) && !ended)
      return MORE;
    want->found = left > 0;
    want->len = left < want->n ? left : want->n;
    break;
  case 'a':
    if (left > want->n)
      return OVERRUN;
    if (!ended)
      return MORE;
    want->found = 1;
    want->len = left;
    break;
  default:
    return find_line(&c, file->limit, ended, want, next);
  }
  want->at = c.at;
  *next = c.at + want->len;
  return ENOUGH;
}

/* Looks for all of it. */
static int find_all(const fs__file *file, fs__want *wants, int count,
                    int ended) {
  size_t next = 0;
  int i, status = ENOUGH;
  for (i = 0; i < count && status == ENOUGH; i++) {
    status = find(file, &wants[i], ended, &next);
    if (status == ENOUGH && !wants[i].found)
      break; /* nothing is read behind what has failed */
  }
  return status;
}

/* ====================================================== } */

/* {======================================================
** Reading on, in the thread
** ======================================================= */

/* How much is still to come, for sure or at most. */
static size_t hint(const fs__file_op *o) {
  const fs__file *file = o->file;
  const fs__want *last = &o->wants[o->count - 1];
  struct stat st;
  off_t at;
  if (last->kind == '#')
    return last->n < MOST_HINT ? last->n : MOST_HINT;
  if (last->kind != 'a' || !file->is_regular || fstat(file->fd, &st) != 0 ||
      (at = lseek(file->fd, 0, SEEK_CUR)) < 0 || st.st_size <= at)
    return 0;
  return (size_t)(st.st_size - at) + 1;
}

/* Reads on: 0 at the end, -1: failed. */
static ssize_t read_on(fs__file_op *o, size_t expected) {
  fs__file *file = o->file;
  ssize_t n;
  if (expected < CHUNK)
    expected = CHUNK;
  if (file->start > 0) {
    memmove(file->data, file->data + file->start, file->len);
    file->start = 0;
  }
  if (file->capacity == file->len) {
    size_t capacity = file->len + (file->len > expected ? file->len : expected);
    char *data = (char *)realloc(file->data, capacity);
    if (data == NULL)
      return fs__file_failed(o, "read");
    file->data = data;
    file->capacity = capacity;
  }
  n = fs__read(&o->work, file->fd, file->is_regular, file->data + file->len,
               file->capacity - file->len);
  if (n < 0)
    return fs__file_failed(o, "read");
  file->len += (size_t)n;
  return n;
}

/* What "a" may have at most: a file may be as long as it says. */
static void set_limits(fs__file_op *o, size_t expected) {
  int i;
  for (i = 0; i < o->count; i++)
    if (o->wants[i].kind == 'a')
      o->wants[i].n = expected + o->file->len > FS__ALL_LIMIT
                          ? expected + o->file->len
                          : FS__ALL_LIMIT;
}

static void run_read(module_work *work) {
  fs__file_op *o = (fs__file_op *)work;
  size_t expected = hint(o);
  int ended = 0, status;
  set_limits(o, expected);
  while ((status = find_all(o->file, o->wants, o->count, ended)) == MORE &&
         !atomic_load(&work->cancelled)) {
    ssize_t n = read_on(o, expected);
    if (n < 0)
      return;
    ended = n == 0;
  }
  o->overrun = status == OVERRUN;
}

/* ====================================================== } */

/* {======================================================
** Formats
** ======================================================= */

static int raise_overrun(lua_State *L, const fs__file *file,
                         const fs__want *wants, int count) {
  int i, is_line = 0;
  for (i = 0; i < count; i++)
    is_line |= wants[i].kind == 'l' || wants[i].kind == 'L';
  lua_pushfstring(L, "File.read: %s '%s'",
                  is_line ? "a line of" : "the rest of", fs__file_path(L));
  return fs__raise_overrun(L, lua_tostring(L, -1),
                           is_line ? file->limit : FS__ALL_LIMIT);
}

/* Pushes what was found, and takes it out of the file. */
static int take(lua_State *L, fs__file *file, const fs__want *wants,
                int count) {
  size_t next = 0;
  int i;
  for (i = 0; i < count; i++) {
    const fs__want *want = &wants[i];
    const char *s = ahead(file) + want->at;
    next = want->at + want->len;
    if (want->kind == 'l' && want->found && next < file->len)
      next++; /* its newline */
    if (!want->found)
      lua_pushnil(L);
    else if (want->kind != 'n')
      lua_pushlstring(L, s, want->len);
    else {
      char text[LONGEST_NUMBER + 1];
      memcpy(text, s, want->len);
      text[want->len] = '\0';
      if (lua_stringtonumber(L, text) == 0)
        lua_pushnil(L);
    }
    if (lua_isnil(L, -1)) {
      i++;
      break;
    }
  }
  file->start += next;
  file->len -= next;
  if (file->len == 0)
    fs__file_forget(file);
  return i;
}

static int push_found(lua_State *L, module_work *work) {
  fs__file_op *o = (fs__file_op *)work;
  fs__file_raise(L, o);
  if (o->overrun)
    return raise_overrun(L, o->file, o->wants, o->count);
  return take(L, o->file, o->wants, o->count);
}

/* Reads the format at `arg`. */
static void check_format(lua_State *L, int arg, fs__want *want) {
  const char *format;
  memset(want, 0, sizeof *want);
  if (lua_type(L, arg) == LUA_TNUMBER) {
    want->kind = '#';
    want->n = (size_t)module_integer(L, arg, "File.read", "number of bytes", 0,
                                     FS__MOST);
    return;
  }
  if ((format = lua_tostring(L, arg)) != NULL) {
    format += *format == '*'; /* as of old */
    if (*format != '\0' && strchr("lLan", *format) != NULL) {
      want->kind = *format;
      want->n = FS__ALL_LIMIT;
      return;
    }
  }
  module_refuse(L, "File.read: \"l\", \"L\", \"a\", \"n\" or a number of bytes "
                "expected, got %s", luaL_tolstring(L, arg, NULL));
}

/* Reads from the file at index 1 by the formats behind it. */
static int read_formats(lua_State *L) {
  fs__file *file = fs__file_check(L, "read");
  fs__want wants[FS__MOST_FORMATS];
  int i, count = lua_gettop(L) - 1, status = MORE;
  fs__file_op *o;
  if (count > FS__MOST_FORMATS)
    return module_refuse(L, "File.read: %d formats, but there can be %d", count,
                         FS__MOST_FORMATS);
  for (i = 0; i < count; i++)
    check_format(L, i + 2, &wants[i]);
  if (count == 0) {
    lua_pushliteral(L, "l");
    check_format(L, 2, &wants[count++]);
  }
  if (fs__file_is_idle(file) && file->len > 0)
    status = find_all(file, wants, count, 0);
  if (status == ENOUGH)
    return take(L, file, wants, count);
  if (status == OVERRUN)
    return raise_overrun(L, file, wants, count);
  o = fs__file_op_new(L, file, 0);
  o->count = count;
  memcpy(o->wants, wants, (size_t)count * sizeof *wants);
  return fs__file_op_run(L, o, run_read, push_found);
}

/* Lua: file:read(...) */
int fs__file_read(lua_State *L) { return read_formats(L); }

/* Lua: the iterator; upvalues: class, number of values, file, formats */
static int next_lines(lua_State *L) {
  int i, n = (int)lua_tointeger(L, lua_upvalueindex(2));
  lua_settop(L, 0);
  for (i = 0; i < n; i++)
    lua_pushvalue(L, lua_upvalueindex(3 + i));
  return read_formats(L);
}

/* Lua: file:lines(...) -> an iterator, which reads by these formats */
int fs__file_lines(lua_State *L) {
  int i, n = lua_gettop(L);
  fs__want want;
  (void)fs__file_check(L, "lines");
  if (n - 1 > FS__MOST_FORMATS)
    return module_refuse(L, "File.lines: %d formats, but there can be %d",
                         n - 1, FS__MOST_FORMATS);
  for (i = 2; i <= n; i++)
    check_format(L, i, &want);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushinteger(L, n);
  lua_rotate(L, 1, 2);
  lua_pushcclosure(L, next_lines, n + 2);
  return 1;
}

/* ====================================================== } */
