/*
** fs.h - what the files of the module share.
**
** Whatever may wait for a disk is one piece of work (module_work) in a thread
** of libuv's: plain POSIX calls on memory that belongs to the work alone, an
** fs__op, or an fs__file.
*/
#ifndef FS_H
#define FS_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "../module/module.h"

#define FS__ALL_LIMIT ((size_t)1 << 26)  /* of what tells no size */
#define FS__LINE_LIMIT ((size_t)1 << 20) /* of a line */
#define FS__MOST ((lua_Integer)1 << 62)  /* for sizes and positions */

/* {======================================================
** fs.c
** ======================================================= */

/* Work on a path. `dispose` frees and closes what is still here. */
typedef struct fs__op {
  module_work work;
  int status;          /* 0, or of the first call that failed: UV_ENOENT */
  const char *syscall; /* that call. Static */
  const char *where;   /* the path it was about */
  const char *path;    /* the arguments: copies, behind the structure */
  const char *other;   /* NULL: there is one path */
  char *made;          /* a path that was made, for `where`; malloc */
  int fd;              /* a descriptor; -1: none */
  char *data;          /* bytes; malloc */
  size_t len;
  int flag;            /* an option */
  int overrun;         /* more bytes than `limit` */
  size_t limit;
  mode_t mode;         /* permissions */
} fs__op;

typedef void (*fs__run)(module_work *work);
typedef int (*fs__done)(lua_State *L, module_work *work);

/* Makes one of `size` bytes. `function` is checked for the capability; `path`
   and `other` (0: none) are the arguments' indexes. */
void *fs__op_new(lua_State *L, size_t size, const char *function, int path,
                 int other);
/* As the last act of a C function. */
int fs__op_run(lua_State *L, fs__op *op, fs__run run, fs__done done);

/* In the thread: notes what failed by errno, unless it has only to wait, and
   returns -1. */
int fs__failed(fs__op *op, const char *syscall, const char *where);
/* For `done`: raises it, if something has failed. */
void fs__raise_failed(lua_State *L, const fs__op *op);
/* A `done` that has no results. */
int fs__nothing(lua_State *L, module_work *work);

/* An argument or option: permissions, an integer or octal digits. */
mode_t fs__permissions(lua_State *L, int arg, const char *function,
                       mode_t otherwise);
/* Raises a LimitOverrunError of the module stream. */
int fs__raise_overrun(lua_State *L, const char *what, size_t limit);

/* ====================================================== } */

/* {======================================================
** plain.c: system calls, in the thread. They go on after a signal; they return
** -1 with errno, ECANCELED when nobody waits for them any longer; or, where a
** pipe or device has nothing yet, with work->events: then `run` returns, is
** called again, and calls them again.
** ======================================================= */

int fs__open(const char *path, int flags, mode_t mode);
/* Below a folder that is open, or AT_FDCWD. */
int fs__open_at(int folder, const char *path, int flags, mode_t mode);
/* Closes it; -1 when bytes may have been lost. */
int fs__close(int fd);
ssize_t fs__read(module_work *work, int fd, int is_regular, void *to,
                 size_t size);
/* All of it; *done, 0 at first, counts what is written. */
int fs__write(module_work *work, int fd, int is_regular, const char *data,
              size_t size, size_t *done);
/* Gives `to` the ACL of `path` or, if that is NULL, of `from`, or none if there
   is none; gives the mode for it. That of a file with an ACL says for the group
   what others may at most: nothing is left of that where the ACL cannot be
   had. */
mode_t fs__acl_copy(const char *path, int from, int to, mode_t mode);
/* A new path in the folder, whose own has `len` bytes: malloc. NULL: no memory,
   or no chance. */
char *fs__temporary(const char *folder, size_t len, const char *prefix);

/* ====================================================== } */

/* stat.c */
/* Pushes a table of it. */
void fs__stat_push(lua_State *L, const struct stat *st);
/* "file", "directory", "link" ... */
const char *fs__type_name(mode_t mode);

/* file.c */
/* Makes the metatable of File, and pushes it. */
void fs__file_class(lua_State *L);
/* The methods that wait, for async. */
extern const luaL_Reg fs__file_waiting[];

/* watch.c */
void fs__watcher_class(lua_State *L);
int fs__watch(lua_State *L);
int fs__watcher_next(lua_State *L);

/* tree.c */
/* In the thread: opens a folder, whose path may be longer than the system takes
   at once; `flags` for open, besides. */
int fs__open_folder(const char *path, int flags);
/* The same, if it is the one with that dev and ino. */
int fs__open_same(const char *path, int flags, lua_Integer dev,
                  lua_Integer ino);
/* Opens the folder of what is at that path, to find it there by its last name,
   *name, if it is the one with that dev and ino. */
int fs__open_parent(const char *path, lua_Integer dev, lua_Integer ino,
                    const char **name);

/* The functions that wait, by file: for async. */
extern const luaL_Reg fs__stat_functions[];
extern const luaL_Reg fs__whole_functions[];
extern const luaL_Reg fs__copy_functions[];
extern const luaL_Reg fs__entry_functions[];
extern const luaL_Reg fs__tree_functions[];
extern const luaL_Reg fs__file_functions[];

#endif
