/*
** file.h - what file.c and read.c share: an open file.
**
** A file is in memory of its own: the userdata, and each piece of work on it,
** hold it. The works stand in its line, one after the other; what has its
** turn, or the VM's thread when the line is empty, has the file for itself.
*/
#ifndef FS_FILE_H
#define FS_FILE_H

#include "fs.h"

#define FS__MOST_FORMATS 8 /* of one read */

typedef struct fs__file {
  module_line line;
  int fd;            /* -1: closed */
  int is_regular;    /* it never lets anybody wait */
  int closing;       /* for scripts it is closed */
  unsigned refs;     /* of the userdata and of works */
  size_t limit;      /* of a line */
  char *temporary;   /* the path that is removed when it closes; or NULL */
  /* what was read and not yet taken; the position of `fd` is behind it */
  char *data;
  size_t start, len, capacity;
} fs__file;

/* What one format of a read wants, and where that was found. */
typedef struct fs__want {
  char kind;       /* 'l', 'L', 'a', 'n', or '#': a number of bytes */
  size_t n;        /* '#': so many; 'a': the limit */
  int found;       /* 0: there is nothing any more */
  size_t at, len;  /* where, from the first byte that was not taken */
} fs__want;

/* Work on a file. */
typedef struct fs__file_op {
  module_work work;
  fs__file *file;
  int status;          /* 0, or of the call that failed */
  const char *syscall; /* that call. Static */
  int whence;          /* seek; truncate: -1, at the position */
  off_t offset;        /* seek, truncate; then the new position */
  struct stat st;
  int overrun;
  int count;           /* of wants */
  fs__want wants[FS__MOST_FORMATS];
  size_t size, done;
  char bytes[];        /* write: a copy */
} fs__file_op;

/* file.c. The open file at index 1, for a method; the class is upvalue 1. */
fs__file *fs__file_check(lua_State *L, const char *function);
/* Makes work on it, with room for so many bytes; and does that, as the last
   act of a C function, or waits for its turn. */
fs__file_op *fs__file_op_new(lua_State *L, fs__file *file, size_t bytes);
int fs__file_op_run(lua_State *L, fs__file_op *o, fs__run run, fs__done done);
/* In the thread: notes what failed by errno, unless it has only to wait, and
   returns -1. */
int fs__file_failed(fs__file_op *o, const char *syscall);
/* For `done`: raises it, if something has failed. */
void fs__file_raise(lua_State *L, const fs__file_op *o);
/* Whether no work has the file. */
int fs__file_is_idle(const fs__file *file);
/* Gives the memory back that it does not need. */
void fs__file_forget(fs__file *file);
/* Pushes its path. */
const char *fs__file_path(lua_State *L);

/* read.c. Methods. */
int fs__file_read(lua_State *L);
int fs__file_lines(lua_State *L);

#endif
