/*
** stat.c - what there is: stat, lstat, exists, readlink, realpath.
*/
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs.h"

#define LINK_SIZE 256 /* of a link's text, at first */

const char *fs__type_name(mode_t mode) {
  switch (mode & S_IFMT) {
  case S_IFREG:
    return "file";
  case S_IFDIR:
    return "directory";
  case S_IFLNK:
    return "link";
  case S_IFIFO:
    return "fifo";
  case S_IFSOCK:
    return "socket";
  case S_IFCHR:
    return "char";
  case S_IFBLK:
    return "block";
  default:
    return "unknown";
  }
}

static void set_integer(lua_State *L, const char *name, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static void set_time(lua_State *L, const char *name, struct timespec time) {
  lua_pushnumber(L, (lua_Number)time.tv_sec + (lua_Number)time.tv_nsec / 1e9);
  lua_setfield(L, -2, name);
}

void fs__stat_push(lua_State *L, const struct stat *st) {
  lua_createtable(L, 0, 12);
  lua_pushstring(L, fs__type_name(st->st_mode));
  lua_setfield(L, -2, "type");
  set_integer(L, "mode", st->st_mode & 07777);
  set_integer(L, "size", (lua_Integer)st->st_size);
  set_integer(L, "blocks", (lua_Integer)st->st_blocks);
  set_integer(L, "uid", st->st_uid);
  set_integer(L, "gid", st->st_gid);
  set_integer(L, "nlink", (lua_Integer)st->st_nlink);
  set_integer(L, "dev", (lua_Integer)st->st_dev);
  set_integer(L, "ino", (lua_Integer)st->st_ino);
  set_time(L, "atime", st->st_atim);
  set_time(L, "mtime", st->st_mtim);
  set_time(L, "ctime", st->st_ctim);
}

/* {======================================================
** stat, lstat, exists
** ======================================================= */

typedef struct stat_op {
  fs__op op;
  struct stat st;
} stat_op;

static void run_stat(module_work *work) {
  stat_op *s = (stat_op *)work;
  if (stat(s->op.path, &s->st) != 0)
    (void)fs__failed(&s->op, "stat", s->op.path);
}

static void run_lstat(module_work *work) {
  stat_op *s = (stat_op *)work;
  if (lstat(s->op.path, &s->st) != 0)
    (void)fs__failed(&s->op, "lstat", s->op.path);
}

static int push_stat(lua_State *L, module_work *work) {
  stat_op *s = (stat_op *)work;
  fs__raise_failed(L, &s->op);
  fs__stat_push(L, &s->st);
  return 1;
}

static int push_existence(lua_State *L, module_work *work) {
  fs__op *op = (fs__op *)work;
  if (op->status != UV_ENOENT && op->status != UV_ENOTDIR)
    fs__raise_failed(L, op);
  lua_pushboolean(L, op->status == 0);
  return 1;
}

/* Lua: stat(path) -> a table; follows links */
static int fs_stat(lua_State *L) {
  stat_op *s = (stat_op *)fs__op_new(L, sizeof *s, "fs.stat", 1, 0);
  return fs__op_run(L, &s->op, run_stat, push_stat);
}

/* Lua: lstat(path) -> a table; of a link itself */
static int fs_lstat(lua_State *L) {
  stat_op *s = (stat_op *)fs__op_new(L, sizeof *s, "fs.lstat", 1, 0);
  return fs__op_run(L, &s->op, run_lstat, push_stat);
}

/* Lua: exists(path) -> boolean; follows links */
static int fs_exists(lua_State *L) {
  stat_op *s = (stat_op *)fs__op_new(L, sizeof *s, "fs.exists", 1, 0);
  return fs__op_run(L, &s->op, run_stat, push_existence);
}

/* ====================================================== } */

/* {======================================================
** readlink, realpath
** ======================================================= */

static void run_readlink(module_work *work) {
  fs__op *op = (fs__op *)work;
  size_t size = LINK_SIZE;
  for (;;) {
    char *data = (char *)realloc(op->data, size);
    ssize_t n;
    if (data == NULL) {
      (void)fs__failed(op, "readlink", op->path);
      return;
    }
    op->data = data;
    n = readlink(op->path, data, size);
    if (n < 0)
      (void)fs__failed(op, "readlink", op->path);
    else if ((size_t)n == size) { /* cut, maybe */
      size *= 2;
      continue;
    }
    op->len = n < 0 ? 0 : (size_t)n;
    return;
  }
}

static int push_data(lua_State *L, module_work *work) {
  fs__op *op = (fs__op *)work;
  fs__raise_failed(L, op);
  lua_pushlstring(L, op->data, op->len);
  return 1;
}

/* Lua: readlink(path) -> where the link leads to, as it says */
static int fs_readlink(lua_State *L) {
  fs__op *op = (fs__op *)fs__op_new(L, sizeof *op, "fs.readlink", 1, 0);
  return fs__op_run(L, op, run_readlink, push_data);
}

static void run_realpath(module_work *work) {
  fs__op *op = (fs__op *)work;
  op->made = realpath(op->path, NULL);
  if (op->made == NULL)
    (void)fs__failed(op, "realpath", op->path);
}

static int push_made(lua_State *L, module_work *work) {
  fs__op *op = (fs__op *)work;
  fs__raise_failed(L, op);
  lua_pushstring(L, op->made);
  return 1;
}

/* Lua: realpath(path) -> absolute, without links, "." and ".." */
static int fs_realpath(lua_State *L) {
  fs__op *op = (fs__op *)fs__op_new(L, sizeof *op, "fs.realpath", 1, 0);
  return fs__op_run(L, op, run_realpath, push_made);
}

/* ====================================================== } */

const luaL_Reg fs__stat_functions[] = {{"stat", fs_stat},
                                       {"lstat", fs_lstat},
                                       {"exists", fs_exists},
                                       {"readlink", fs_readlink},
                                       {"realpath", fs_realpath},
                                       {NULL, NULL}};
