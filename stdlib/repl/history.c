/*
** history.c - the file that keeps what was typed: an entry a line, with
** "\n" for a newline inside it and "\\" for a backslash.
**
** Sessions that share the file add their entries under a lock. One that has
** grown beyond LARGEST loses its older half, in place, so that the lock is
** good for all.
*/
#include "editor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 200        /* ms, to wait for the lock */
#define LARGEST (256 << 10) /* bytes */
#define LARGEST_ENTRY (LARGEST / 4) /* more is not worth what it pushes out */

/* The folders on the way to a file, which only the user may enter. */
static void make_folders(char *path) {
  char *slash = path;
  while ((slash = strchr(slash + 1, '/')) != NULL) {
    *slash = '\0';
    (void)mkdir(path, 0700); /* it may be there; else open fails */
    *slash = '/';
  }
}

/* Locks the file, if the others who use it let go of it within PATIENCE:
   nobody waits for the prompt much longer. Whether it is locked. */
static int lock(int fd) {
  const struct timespec pause = {0, 1000000};
  for (int i = 0; i < PATIENCE; i++) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
      return 1;
    if (errno != EWOULDBLOCK && errno != EINTR)
      return 0;
    (void)nanosleep(&pause, NULL);
  }
  return 0;
}

/* Whether it is a file; from now on one that only its user reads. */
static int is_private(int fd) {
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
    return 0;
  if ((st.st_mode & 077) != 0)
    (void)!fchmod(fd, 0600); /* who may not do so has not made it */
  return 1;
}

/* Opens the file at the index of the stack, and locks it; -1, without it. */
static int open_locked(lua_State *L, int index, int flags) {
  char *path;
  int fd;
  flags |= O_CLOEXEC | O_NONBLOCK; /* it may be a pipe without a writer */
  fd = open(luaL_checkstring(L, index), flags, 0600);
  if (fd < 0 && errno == ENOENT && (flags & O_CREAT)) {
    path = strdup(lua_tostring(L, index));
    if (path == NULL)
      return -1;
    make_folders(path);
    fd = open(path, flags, 0600);
    free(path);
  }
  if (fd < 0)
    return -1;
  if (is_private(fd) && lock(fd))
    return fd;
  (void)close(fd);
  return -1;
}

/* Reads the last `size` bytes, at most, to memory that the caller frees;
   NULL: none, or not readable. */
static char *read_tail(int fd, size_t *size) {
  struct stat st;
  char *text;
  off_t from;
  ssize_t n;
  if (fstat(fd, &st) != 0)
    return NULL;
  from = st.st_size > (off_t)*size ? st.st_size - (off_t)*size : 0;
  text = malloc(*size);
  if (text == NULL)
    return NULL;
  n = pread(fd, text, *size, from);
  if (n <= 0) {
    free(text);
    return NULL;
  }
  *size = (size_t)n;
  if (from > 0) { /* in the middle of a line: leave it out */
    char *end = memchr(text, '\n', *size);
    size_t cut = end != NULL ? (size_t)(end - text) + 1 : *size;
    *size -= cut;
    memmove(text, text + cut, *size);
  }
  return text;
}

/* Leaves the newer half. What is in the file is whole lines before and after;
   an error leaves all of it. */
static void shorten(int fd) {
  size_t size = LARGEST / 2;
  char *text = read_tail(fd, &size);
  if (text == NULL)
    return;
  if (pwrite(fd, text, size, 0) == (ssize_t)size)
    (void)!ftruncate(fd, (off_t)size);
  free(text);
}

static void push_entry(lua_State *L, const char *line, const char *end) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (; line < end; line++) {
    if (*line == '\\' && line + 1 < end) {
      line++;
      luaL_addchar(&b, (char)(*line == 'n' ? '\n' : *line));
    } else {
      luaL_addchar(&b, *line);
    }
  }
  luaL_pushresult(&b);
}

/* Lua: the text and its size, light userdata -> list */
static int push_entries(lua_State *L) {
  const char *line = lua_touserdata(L, 1);
  const char *last = line + lua_tointeger(L, 2), *end;
  lua_Integer n = 0;
  lua_newtable(L);
  while (line < last &&
         (end = memchr(line, '\n', (size_t)(last - line))) != NULL) {
    push_entry(L, line, end);
    lua_rawseti(L, -2, ++n);
    line = end + 1;
  }
  return 1;
}

int neap__history_load(lua_State *L) {
  size_t size = LARGEST;
  int status, fd = open_locked(L, 1, O_RDONLY);
  char *text = fd >= 0 ? read_tail(fd, &size) : NULL;
  if (fd >= 0)
    (void)close(fd);
  lua_pushcfunction(L, push_entries);
  lua_pushlightuserdata(L, text);
  lua_pushinteger(L, text != NULL ? (lua_Integer)size : 0);
  status = lua_pcall(L, 2, 1, 0);
  free(text);
  return status == LUA_OK ? 1 : lua_error(L);
}

int neap__history_append(lua_State *L) {
  size_t size;
  const char *entry = luaL_checklstring(L, 2, &size), *line;
  luaL_Buffer b;
  off_t end;
  char last;
  int fd;
  luaL_buffinit(L, &b);
  luaL_addchar(&b, '\n'); /* ends the line of an editor that has not */
  for (; size > 0; size--, entry++) {
    if (*entry == '\n' || *entry == '\\')
      luaL_addchar(&b, '\\');
    luaL_addchar(&b, (char)(*entry == '\n' ? 'n' : *entry));
  }
  luaL_addchar(&b, '\n');
  luaL_pushresult(&b);
  line = lua_tolstring(L, -1, &size);
  if (size > LARGEST_ENTRY)
    return 0;
  fd = open_locked(L, 1, O_RDWR | O_CREAT);
  if (fd < 0)
    return 0; /* there is no history, then */
  end = lseek(fd, 0, SEEK_END);
  if (end <= 0 || pread(fd, &last, 1, end - 1) != 1 || last == '\n') {
    line++;
    size--;
  }
  if (end >= 0 && write(fd, line, size) != (ssize_t)size)
    (void)!ftruncate(fd, end); /* the disk is full */
  else if (end + (off_t)size > LARGEST)
    shorten(fd);
  (void)close(fd);
  return 0;
}
