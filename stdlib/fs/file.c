/*
** file.c - the class File: opening and closing, all but reading.
*/
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

/* A File; its user value is its path. */
typedef struct handle {
  fs__file *file;
} handle;

/* {======================================================
** Life
** ======================================================= */

void fs__file_forget(fs__file *file) {
  free(file->data);
  file->data = NULL;
  file->start = file->len = file->capacity = 0;
}

/* Closes it; -1: something may have been lost. */
static int end_file(fs__file *file) {
  int status = 0;
  if (file->fd >= 0)
    status = fs__close(file->fd);
  file->fd = -1;
  if (file->temporary != NULL)
    (void)unlink(file->temporary); /* it may have got another name */
  free(file->temporary);
  file->temporary = NULL;
  fs__file_forget(file);
  return status;
}

static void unref(fs__file *file) {
  if (--file->refs > 0)
    return;
  (void)end_file(file); /* nobody is there to be told */
  free(file);
}

int fs__file_is_idle(const fs__file *file) { return file->line.first == NULL; }

/* Scripts use it no longer; what is under way comes to its end before. */
static void begin_end(fs__file *file) {
  file->closing = 1;
  if (fs__file_is_idle(file))
    (void)end_file(file); /* as above */
}

/* Makes a File of the descriptor, which then is its own. */
static fs__file *handle_new(lua_State *L, fs__op *op, int is_regular) {
  handle *h = (handle *)lua_newuserdatauv(L, sizeof *h, 1);
  fs__file *file = (fs__file *)calloc(1, sizeof *file);
  if (file == NULL)
    luaL_error(L, "not enough memory");
  file->fd = op->fd;
  op->fd = -1;
  file->is_regular = is_regular;
  file->refs = 1;
  file->limit = op->limit;
  h->file = file;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  return file;
}

static handle *handle_check(lua_State *L, const char *function) {
  handle *h = (handle *)module_object(L, 1, lua_upvalueindex(1));
  if (h == NULL)
    module_refuse(L, "File.%s: a File expected, got %s; write file:%s()",
                  function, luaL_typename(L, 1), function);
  return h;
}

fs__file *fs__file_check(lua_State *L, const char *function) {
  fs__file *file = handle_check(L, function)->file;
  if (file->closing)
    module_refuse(L, "File.%s: the file is closed", function);
  module_check(L, NEAP_CAN_FS, function);
  return file;
}

const char *fs__file_path(lua_State *L) {
  lua_getiuservalue(L, 1, 1);
  return lua_tostring(L, -1);
}

/* Lua: file:fileno() -> its descriptor, for others to use */
static int file_fileno(lua_State *L) {
  lua_pushinteger(L, fs__file_check(L, "fileno")->fd);
  return 1;
}

/* Lua: __close */
static int file_scope_end(lua_State *L) {
  begin_end(handle_check(L, "__close")->file);
  return 0;
}

/* Lua: __gc */
static int file_gc(lua_State *L) {
  fs__file *file = ((handle *)lua_touserdata(L, 1))->file;
  begin_end(file);
  unref(file);
  return 0;
}

/* Lua: __tostring */
static int file_tostring(lua_State *L) {
  fs__file *file = handle_check(L, "__tostring")->file;
  lua_pushfstring(L, "<File '%s'%s>", fs__file_path(L),
                  file->closing ? " closed" : "");
  return 1;
}

/* ====================================================== } */

/* {======================================================
** Work
** ======================================================= */

static void dispose(module_work *work) {
  fs__file_op *o = (fs__file_op *)work;
  if (o->file->closing && fs__file_is_idle(o->file))
    (void)end_file(o->file); /* nobody is there to be told */
  unref(o->file);
}

fs__file_op *fs__file_op_new(lua_State *L, fs__file *file, size_t bytes) {
  fs__file_op *o = (fs__file_op *)module_work_new(L, sizeof *o + bytes);
  o->file = file;
  file->refs++;
  o->work.line = &file->line;
  o->work.dispose = dispose;
  o->work.what = "a file";
  return o;
}

int fs__file_op_run(lua_State *L, fs__file_op *o, fs__run run, fs__done done) {
  o->work.run = run;
  o->work.done = done;
  return module_work_run(L, &o->work);
}

int fs__file_failed(fs__file_op *o, const char *syscall) {
  if (o->work.events == 0) {
    o->status = uv_translate_sys_error(errno);
    o->syscall = syscall;
  }
  return -1;
}

void fs__file_raise(lua_State *L, const fs__file_op *o) {
  if (o->status != 0)
    module_os_error(L, o->status, o->syscall, "path", fs__file_path(L));
}

/* A `done` without results. */
static int nothing(lua_State *L, module_work *work) {
  fs__file_raise(L, (fs__file_op *)work);
  return 0;
}

/* In the thread: drops what was read ahead; the position of the descriptor is
   then what scripts take it for. A pipe has none. */
static int drop_read_ahead(fs__file_op *o) {
  fs__file *file = o->file;
  if (file->len == 0)
    return 0;
  if (lseek(file->fd, -(off_t)file->len, SEEK_CUR) < 0)
    return errno == ESPIPE ? 0 : fs__file_failed(o, "lseek");
  fs__file_forget(file);
  return 0;
}

/* ====================================================== } */

/* {======================================================
** Methods
** ======================================================= */

static void run_write(module_work *work) {
  fs__file_op *o = (fs__file_op *)work;
  if (drop_read_ahead(o) == 0 &&
      fs__write(work, o->file->fd, o->file->is_regular, o->bytes, o->size,
                &o->done) != 0)
    (void)fs__file_failed(o, "write");
}

static int push_self(lua_State *L, module_work *work) {
  fs__file_raise(L, (fs__file_op *)work);
  lua_pushvalue(L, 1);
  return 1;
}

/* Lua: file:write(...) -> file; strings and numbers */
static int file_write(lua_State *L) {
  fs__file *file = fs__file_check(L, "write");
  int i, n = lua_gettop(L);
  size_t size = 0, len;
  fs__file_op *o;
  for (i = 2; i <= n; i++) {
    if (lua_type(L, i) != LUA_TNUMBER)
      (void)module_string(L, i, "File.write", "data", &len);
    (void)lua_tolstring(L, i, &len);
    size += len;
  }
  o = fs__file_op_new(L, file, size);
  for (i = 2; i <= n; i++) {
    const char *data = lua_tolstring(L, i, &len);
    memcpy(o->bytes + o->size, data, len);
    o->size += len;
  }
  return fs__file_op_run(L, o, run_write, push_self);
}

static void run_seek(module_work *work) {
  fs__file_op *o = (fs__file_op *)work;
  fs__file *file = o->file;
  off_t ahead = (off_t)file->len;
  if (o->whence == SEEK_CUR && o->offset == 0) { /* only asks */
    o->offset = lseek(file->fd, 0, SEEK_CUR) - ahead;
    if (o->offset < 0)
      (void)fs__file_failed(o, "lseek");
    return;
  }
  if (o->whence == SEEK_CUR)
    o->offset -= ahead;
  o->offset = lseek(file->fd, o->offset, o->whence);
  if (o->offset < 0)
    (void)fs__file_failed(o, "lseek");
  else
    fs__file_forget(file);
}

static int push_offset(lua_State *L, module_work *work) {
  fs__file_op *o = (fs__file_op *)work;
  fs__file_raise(L, o);
  lua_pushinteger(L, (lua_Integer)o->offset);
  return 1;
}

/* Lua: file:seek([whence [, offset]]) -> position */
static int file_seek(lua_State *L) {
  static const char function[] = "File.seek";
  static const char *const names[] = {"set", "cur", "end"};
  static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};
  fs__file *file = fs__file_check(L, "seek");
  const char *name = "cur";
  lua_Integer offset = 0;
  fs__file_op *o;
  int i;
  if (!lua_isnoneornil(L, 2))
    name = module_string(L, 2, function, "whence", NULL);
  if (!lua_isnoneornil(L, 3))
    offset = module_integer(L, 3, function, "offset", -FS__MOST, FS__MOST);
  for (i = 0; i < 3 && strcmp(name, names[i]) != 0; i++)
    ;
  if (i == 3)
    return module_refuse(L, "%s: \"set\", \"cur\" or \"end\" expected as "
                         "whence, got '%s'", function, name);
  if (whences[i] != SEEK_END && fs__file_is_idle(file)) { /* no disk is asked */
    fs__file_op now = {
        .file = file, .whence = whences[i], .offset = (off_t)offset};
    run_seek(&now.work);
    return push_offset(L, &now.work);
  }
  o = fs__file_op_new(L, file, 0);
  o->whence = whences[i];
  o->offset = (off_t)offset;
  return fs__file_op_run(L, o, run_seek, push_offset);
}

static void run_sync(module_work *work) {
  fs__file_op *o = (fs__file_op *)work;
  if (fsync(o->file->fd) != 0)
    (void)fs__file_failed(o, "fsync");
}

/* Lua: file:sync(): the bytes are on the disk then */
static int file_sync(lua_State *L) {
  fs__file *file = fs__file_check(L, "sync");
  return fs__file_op_run(L, fs__file_op_new(L, file, 0), run_sync, nothing);
}

static void run_truncate(module_work *work) {
  fs__file_op *o = (fs__file_op *)work;
  if (drop_read_ahead(o) != 0)
    return;
  if (o->whence < 0)
    o->offset = lseek(o->file->fd, 0, SEEK_CUR);
  if (o->offset < 0)
    (void)fs__file_failed(o, "lseek");
  else if (ftruncate(o->file->fd, o->offset) != 0)
    (void)fs__file_failed(o, "ftruncate");
}

/* Lua: file:truncate([size]): cut, or filled up with zeros, at the position */
static int file_truncate(lua_State *L) {
  fs__file *file = fs__file_check(L, "truncate");
  int here = lua_isnoneornil(L, 2);
  lua_Integer size = 0;
  fs__file_op *o;
  if (!here)
    size = module_integer(L, 2, "File.truncate", "size", 0, FS__MOST);
  o = fs__file_op_new(L, file, 0);
  o->whence = here ? -1 : 0;
  o->offset = (off_t)size;
  return fs__file_op_run(L, o, run_truncate, nothing);
}

static void run_stat(module_work *work) {
  fs__file_op *o = (fs__file_op *)work;
  if (fstat(o->file->fd, &o->st) != 0)
    (void)fs__file_failed(o, "fstat");
}

static int push_stat(lua_State *L, module_work *work) {
  fs__file_op *o = (fs__file_op *)work;
  fs__file_raise(L, o);
  fs__stat_push(L, &o->st);
  return 1;
}

/* Lua: file:stat() -> a table, as fs.stat */
static int file_stat(lua_State *L) {
  fs__file *file = fs__file_check(L, "stat");
  return fs__file_op_run(L, fs__file_op_new(L, file, 0), run_stat, push_stat);
}

static void run_close(module_work *work) {
  fs__file_op *o = (fs__file_op *)work;
  if (end_file(o->file) != 0)
    (void)fs__file_failed(o, "close");
}

/* Lua: file:close(): when all that was begun before is done */
static int file_close(lua_State *L) {
  fs__file *file = handle_check(L, "close")->file;
  fs__file_op *o;
  if (file->closing)
    return 0;
  o = fs__file_op_new(L, file, 0);
  o->work.to_the_end = 1;
  file->closing = 1;
  return fs__file_op_run(L, o, run_close, nothing);
}

const luaL_Reg fs__file_waiting[] = {
    {"read", fs__file_read}, {"write", file_write},       {"seek", file_seek},
    {"sync", file_sync},     {"truncate", file_truncate}, {"stat", file_stat},
    {"close", file_close},   {NULL, NULL}};

void fs__file_class(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__close", file_scope_end},
                                         {"__gc", file_gc},
                                         {"__tostring", file_tostring},
                                         {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"fileno", file_fileno}, {"lines", fs__file_lines}, {NULL, NULL}};
  module_class(L, "File", metamethods, methods);
}

/* ====================================================== } */

/* {======================================================
** open, tempfile
** ======================================================= */

/* The flags of a mode, as of Lua's io.open, and "x". -1: it is none. */
static int mode_flags(const char *mode) {
  int flags, plus = 0, exclusive = 0, binary = 0;
  char how = *mode;
  for (; *mode != '\0' && *++mode != '\0';) {
    int *what = *mode == '+' ? &plus : *mode == 'x' ? &exclusive : &binary;
    if (++*what > 1 || (what == &binary && *mode != 'b'))
      return -1;
  }
  flags = plus ? O_RDWR : how == 'r' ? O_RDONLY : O_WRONLY;
  switch (how) {
  case 'r':
    return exclusive ? -1 : flags;
  case 'w':
    return flags | O_CREAT | (exclusive ? O_EXCL : O_TRUNC);
  case 'a':
    return flags | O_CREAT | O_APPEND | (exclusive ? O_EXCL : 0);
  default:
    return -1;
  }
}

typedef struct open_op {
  fs__op op;
  int flags;
  int is_regular;
} open_op;

/* Whether nobody ever has to wait for what it gives: a disk has no poll. */
static int never_waits(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 &&
         (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode));
}

static void run_open(module_work *work) {
  open_op *o = (open_op *)work;
  o->op.fd = fs__open(o->op.path, o->flags, o->op.mode);
  if (o->op.fd < 0)
    (void)fs__failed(&o->op, "open", o->op.path);
  else
    o->is_regular = never_waits(o->op.fd);
}

static int push_file(lua_State *L, module_work *work) {
  open_op *o = (open_op *)work;
  fs__raise_failed(L, &o->op);
  (void)handle_new(L, &o->op, o->is_regular);
  lua_pushstring(L, o->op.path);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

/* Lua: open(path [, mode [, options]]) -> a File */
static int fs_open(lua_State *L) {
  static const char function[] = "fs.open";
  static const char *const known[] = {"limit", "mode", NULL};
  const char *mode = "r";
  lua_Integer limit = FS__LINE_LIMIT;
  mode_t permissions;
  open_op *o;
  int flags;
  module_options(L, 3, function, known);
  if (!lua_isnil(L, 2))
    mode = module_path(L, 2, function, "mode");
  flags = mode_flags(mode);
  if (flags < 0)
    return module_refuse(L, "%s: no mode '%s' (there are r, w, a; r+, w+, a+; "
                         "wx, ax)", function, mode);
  if (!lua_isnil(L, 4))
    limit = module_integer(L, 4, function, "limit", 1, FS__MOST);
  permissions = fs__permissions(L, 5, function, 0666);
  o = (open_op *)fs__op_new(L, sizeof *o, function, 1, 0);
  o->flags = flags;
  o->op.limit = (size_t)limit;
  o->op.mode = permissions;
  return fs__op_run(L, &o->op, run_open, push_file);
}

static void run_tempfile(module_work *work) {
  fs__op *op = (fs__op *)work;
  op->made = fs__temporary(op->path, strlen(op->path), op->other);
  if (op->made != NULL)
    op->fd = fs__open(op->made, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (op->fd < 0)
    (void)fs__failed(op, "open", op->path);
}

/* Nobody has taken it. */
static void dispose_tempfile(module_work *work) {
  fs__op *op = (fs__op *)work;
  if (op->fd >= 0) {
    (void)close(op->fd); /* nothing was written */
    (void)unlink(op->made);
  }
  free(op->made);
}

static int push_tempfile(lua_State *L, module_work *work) {
  fs__op *op = (fs__op *)work;
  fs__file *file;
  op->other = NULL; /* that is no path */
  fs__raise_failed(L, op);
  lua_pushstring(L, op->made);
  file = handle_new(L, op, 1);
  file->temporary = op->made;
  op->made = NULL;
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, 1);
  lua_insert(L, -2);
  return 2;
}

/* Lua: tempfile(folder, prefix) -> a File that is removed when it closes, its
   path */
static int fs_tempfile(lua_State *L) {
  fs__op *op = (fs__op *)fs__op_new(L, sizeof *op, "fs.tempfile", 1, 2);
  op->work.dispose = dispose_tempfile;
  op->limit = FS__LINE_LIMIT;
  return fs__op_run(L, op, run_tempfile, push_tempfile);
}

const luaL_Reg fs__file_functions[] = {
    {"open", fs_open}, {"tempfile", fs_tempfile}, {NULL, NULL}};

/* ====================================================== } */
