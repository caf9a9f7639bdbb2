/*
** entry.c - the names in folders: mkdir, rename, link, symlink, chmod, touch,
** tempdir.
*/
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs.h"

/* {======================================================
** mkdir
** ======================================================= */

/* Makes the folder and those above that are missing. */
static int make_parents(fs__op *op) {
  char *end = op->made + strlen(op->made), *slash = end;
  struct stat st;
  /* back to the first that is there */
  while (mkdir(op->made, op->mode) != 0) {
    if (errno != ENOENT) {
      int error = errno;
      if (stat(op->made, &st) == 0 && S_ISDIR(st.st_mode))
        break;
      errno = error;
      return fs__failed(op, "mkdir", op->made);
    }
    while (slash > op->made && *slash != '/')
      slash--;
    while (slash > op->made && slash[-1] == '/')
      slash--;
    if (slash == op->made)
      return fs__failed(op, "mkdir", op->path);
    *slash = '\0';
  }
  /* and on from there */
  while ((slash = op->made + strlen(op->made)) < end) {
    *slash = '/';
    if (mkdir(op->made, op->mode) != 0 && errno != EEXIST)
      return fs__failed(op, "mkdir", op->made);
  }
  return 0;
}

static void run_mkdir(module_work *work) {
  fs__op *op = (fs__op *)work;
  if (!op->flag) {
    if (mkdir(op->path, op->mode) != 0)
      (void)fs__failed(op, "mkdir", op->path);
    return;
  }
  op->made = strdup(op->path);
  if (op->made == NULL)
    (void)fs__failed(op, "mkdir", op->path);
  else
    (void)make_parents(op);
}

/* Lua: mkdir(path [, options]) */
static int fs_mkdir(lua_State *L) {
  static const char function[] = "fs.mkdir";
  static const char *const known[] = {"mode", "parents", NULL};
  mode_t mode;
  int parents;
  fs__op *op;
  module_options(L, 2, function, known);
  mode = fs__permissions(L, 3, function, 0777);
  parents = module_boolean(L, 4, function, "parents");
  op = (fs__op *)fs__op_new(L, sizeof *op, function, 1, 0);
  op->mode = mode;
  op->flag = parents;
  return fs__op_run(L, op, run_mkdir, fs__nothing);
}

/* ====================================================== } */

/* {======================================================
** rename, link, symlink
** ======================================================= */

static void run_rename(module_work *work) {
  fs__op *op = (fs__op *)work;
  if (rename(op->path, op->other) != 0)
    (void)fs__failed(op, "rename", op->path);
}

static void run_link(module_work *work) {
  fs__op *op = (fs__op *)work;
  if (link(op->path, op->other) != 0)
    (void)fs__failed(op, "link", op->path);
}

static void run_symlink(module_work *work) {
  fs__op *op = (fs__op *)work;
  if (symlink(op->path, op->other) != 0)
    (void)fs__failed(op, "symlink", op->other);
}

static int with_two(lua_State *L, const char *function, fs__run run) {
  fs__op *op = (fs__op *)fs__op_new(L, sizeof *op, function, 1, 2);
  return fs__op_run(L, op, run, fs__nothing);
}

/* Lua: rename(from, to): takes the place of a file there */
static int fs_rename(lua_State *L) {
  return with_two(L, "fs.rename", run_rename);
}

/* Lua: link(path, new): a further name of a file */
static int fs_link(lua_State *L) { return with_two(L, "fs.link", run_link); }

/* Lua: symlink(target, new) */
static int fs_symlink(lua_State *L) {
  return with_two(L, "fs.symlink", run_symlink);
}

/* ====================================================== } */

/* {======================================================
** chmod, touch
** ======================================================= */

static void run_chmod(module_work *work) {
  fs__op *op = (fs__op *)work;
  if (chmod(op->path, op->mode) != 0)
    (void)fs__failed(op, "chmod", op->path);
}

/* Lua: chmod(path, permissions) */
static int fs_chmod(lua_State *L) {
  static const char function[] = "fs.chmod";
  mode_t mode;
  fs__op *op;
  if (lua_isnoneornil(L, 2))
    return module_refuse(L, "%s: permissions expected, an integer or octal "
                         "digits, \"644\"", function);
  mode = fs__permissions(L, 2, function, 0);
  op = (fs__op *)fs__op_new(L, sizeof *op, function, 1, 0);
  op->mode = mode;
  return fs__op_run(L, op, run_chmod, fs__nothing);
}

typedef struct touch_op {
  fs__op op;
  struct timespec times[2]; /* of access, of change */
} touch_op;

static void run_touch(module_work *work) {
  touch_op *t = (touch_op *)work;
  fs__op *op = &t->op;
  int status = utimensat(AT_FDCWD, op->path, t->times, 0);
  if (status != 0 && errno == ENOENT) {
    op->fd = fs__open(op->path, O_WRONLY | O_CREAT, 0666);
    if (op->fd < 0) {
      (void)fs__failed(op, "open", op->path);
      return;
    }
    status = futimens(op->fd, t->times);
  }
  if (status != 0)
    (void)fs__failed(op, "utimensat", op->path);
}

/* An option: seconds since 1970, nil is now. */
static struct timespec check_time(lua_State *L, int arg, const char *function,
                                  const char *what) {
  struct timespec time = {0, UTIME_NOW};
  if (!lua_isnil(L, arg)) {
    lua_Number seconds = lua_tonumber(L, arg), whole;
    if (lua_type(L, arg) != LUA_TNUMBER)
      module_refuse(L, "%s: a number of seconds expected as %s, got %s",
                    function, what, luaL_typename(L, arg));
    if (!(fabs(seconds) <= 1e15)) /* nor NaN */
      module_refuse(L, "%s: %s is too far away", function, what);
    whole = floor(seconds);
    time.tv_sec = (time_t)whole;
    time.tv_nsec = (long)fmin((seconds - whole) * 1e9, 999999999); /* -1e-20 */
  }
  return time;
}

/* Lua: touch(path [, options]): makes the file if there is none */
static int fs_touch(lua_State *L) {
  static const char function[] = "fs.touch";
  static const char *const known[] = {"atime", "mtime", NULL};
  struct timespec atime, mtime;
  touch_op *t;
  module_options(L, 2, function, known);
  mtime = check_time(L, 4, function, "mtime");
  atime = lua_isnil(L, 3) ? mtime : check_time(L, 3, function, "atime");
  t = (touch_op *)fs__op_new(L, sizeof *t, function, 1, 0);
  t->times[0] = atime;
  t->times[1] = mtime;
  return fs__op_run(L, &t->op, run_touch, fs__nothing);
}

/* ====================================================== } */

/* {======================================================
** tempdir
** ======================================================= */

static void run_tempdir(module_work *work) {
  fs__op *op = (fs__op *)work;
  op->made = fs__temporary(op->path, strlen(op->path), op->other);
  if (op->made == NULL || mkdir(op->made, 0700) != 0)
    (void)fs__failed(op, "mkdir", op->path);
  else
    op->flag = 1;
}

static int push_tempdir(lua_State *L, module_work *work) {
  fs__op *op = (fs__op *)work;
  op->other = NULL; /* that is no path */
  fs__raise_failed(L, op);
  lua_pushstring(L, op->made);
  op->flag = 0; /* the caller's from now on */
  return 1;
}

/* Nobody knows of it. */
static void dispose_tempdir(module_work *work) {
  fs__op *op = (fs__op *)work;
  if (op->flag)
    (void)rmdir(op->made); /* nothing is in it */
  free(op->made);
}

/* Lua: tempdir(folder, prefix) -> the path of a new folder */
static int fs_tempdir(lua_State *L) {
  fs__op *op = (fs__op *)fs__op_new(L, sizeof *op, "fs.tempdir", 1, 2);
  op->work.dispose = dispose_tempdir;
  return fs__op_run(L, op, run_tempdir, push_tempdir);
}

/* ====================================================== } */

const luaL_Reg fs__entry_functions[] = {
    {"mkdir", fs_mkdir},   {"rename", fs_rename},   {"link", fs_link},
    {"symlink", fs_symlink}, {"chmod", fs_chmod},   {"touch", fs_touch},
    {"tempdir", fs_tempdir}, {NULL, NULL}};
