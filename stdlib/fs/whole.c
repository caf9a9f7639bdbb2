/*
** whole.c - whole files: read, write, append. Each is one piece of work.
*/
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs.h"

#define FIRST_SIZE ((size_t)8192) /* room for what tells no size */

/* {======================================================
** read
** ======================================================= */

typedef struct read_op {
  fs__op op;
  size_t size; /* as the file says */
  size_t room; /* of op->data */
  int is_regular;
} read_op;

/* Reads on until the end. */
static int read_all(read_op *r) {
  fs__op *op = &r->op;
  for (;;) {
    size_t wanted;
    ssize_t n;
    if (op->len == r->room) { /* at first; there is more than it said */
      size_t room = r->room > 0   ? 2 * r->room
                    : r->size > 0 ? r->size + 1
                                  : FIRST_SIZE;
      char *data;
      if (room > op->limit)
        room = op->limit + 1;
      if ((data = (char *)realloc(op->data, room)) == NULL)
        return fs__failed(op, "read", op->path);
      op->data = data;
      r->room = room;
    }
    wanted = r->room - op->len;
    n = fs__read(&op->work, op->fd, r->is_regular, op->data + op->len, wanted);
    if (n < 0)
      return fs__failed(op, "read", op->path);
    op->len += (size_t)n;
    if (op->len > op->limit) {
      op->overrun = 1;
      return 0;
    }
    /* less than there is room for, and all that it said? */
    if (n == 0 || ((size_t)n < wanted && r->size > 0 && op->len == r->size))
      return 0;
    if (atomic_load(&op->work.cancelled))
      return 0;
  }
}

/* Opens the file. */
static int begin_read(read_op *r) {
  fs__op *op = &r->op;
  struct stat st;
  op->fd = fs__open(op->path, O_RDONLY, 0);
  if (op->fd < 0)
    return fs__failed(op, "open", op->path);
  if (fstat(op->fd, &st) != 0)
    return fs__failed(op, "fstat", op->path);
  r->size = S_ISREG(st.st_mode) ? (size_t)st.st_size : 0;
  r->is_regular = !S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode);
  if (op->limit == 0)
    op->limit = r->size > FS__ALL_LIMIT ? r->size : FS__ALL_LIMIT;
  op->overrun = r->size > op->limit;
  return op->overrun ? -1 : 0;
}

static void run_read(module_work *work) {
  read_op *r = (read_op *)work;
  if ((r->op.fd >= 0 || begin_read(r) == 0) && read_all(r) == 0) {
    (void)fs__close(r->op.fd); /* nothing can be lost */
    r->op.fd = -1;
  }
}

static int push_content(lua_State *L, module_work *work) {
  fs__op *op = (fs__op *)work;
  fs__raise_failed(L, op);
  if (op->overrun) {
    lua_pushfstring(L, "fs.read: '%s'", op->path);
    return fs__raise_overrun(L, lua_tostring(L, -1), op->limit);
  }
  lua_pushlstring(L, op->data, op->len);
  return 1;
}

/* Lua: read(path [, options]) -> the bytes */
static int fs_read(lua_State *L) {
  static const char function[] = "fs.read";
  static const char *const known[] = {"limit", NULL};
  lua_Integer limit = 0;
  read_op *r;
  module_options(L, 2, function, known);
  if (!lua_isnil(L, 3))
    limit = module_integer(L, 3, function, "limit", 1, FS__MOST);
  r = (read_op *)fs__op_new(L, sizeof *r, function, 1, 0);
  r->op.limit = (size_t)limit;
  return fs__op_run(L, &r->op, run_read, push_content);
}

/* ====================================================== } */

/* {======================================================
** write, append
** ======================================================= */

typedef struct write_op {
  fs__op op;
  int flags; /* of open */
  int sync;  /* of the bytes, */
  int named; /* and of the name */
  size_t size, done;
  char bytes[]; /* a copy: the task may go before the thread has ended */
} write_op;

/* Sees to it that the name is on the disk, as the bytes are; where the folder
   cannot be read, or knows no such thing, nobody can. */
static void sync_name(fs__op *op) {
  char *path = realpath(op->path, NULL), *slash;
  int fd = -1;
  if (path != NULL) {
    slash = strrchr(path, '/');
    slash[slash == path] = '\0';
    fd = fs__open(path, O_RDONLY | O_DIRECTORY, 0);
  }
  if ((fd < 0 && errno != EACCES) ||
      (fd >= 0 && fsync(fd) != 0 && errno != EINVAL))
    (void)fs__failed(op, "fsync", op->path);
  if (fd >= 0)
    (void)close(fd); /* nothing can be lost */
  free(path);
}

/* Writes the data to op->fd and closes it. */
static int write_all(write_op *w, int is_regular) {
  fs__op *op = &w->op;
  int status = 0;
  if (fs__write(&op->work, op->fd, is_regular, w->bytes, w->size, &w->done) !=
      0)
    status = fs__failed(op, "write", op->path);
  else if (w->sync && fsync(op->fd) != 0)
    status = fs__failed(op, "fsync", op->path);
  if (op->work.events != 0)
    return -1; /* it goes on later */
  if (fs__close(op->fd) != 0 && status == 0)
    status = fs__failed(op, "close", op->path);
  op->fd = -1;
  return status;
}

static void run_write(module_work *work) {
  write_op *w = (write_op *)work;
  fs__op *op = &w->op;
  struct stat st;
  if (op->fd < 0)
    op->fd = fs__open(op->path, w->flags, op->mode);
  if (op->fd < 0)
    (void)fs__failed(op, "open", op->path);
  else if (fstat(op->fd, &st) != 0)
    (void)fs__failed(op, "fstat", op->path);
  else if (write_all(w, S_ISREG(st.st_mode)) == 0 && w->named)
    sync_name(op);
}

/* Gives the new file owner and permissions of the one whose place it takes.
   The owner may be out of reach. */
static int become(fs__op *op, const char *target, const struct stat *st) {
  mode_t mode = st->st_mode & 07777;
  struct stat now;
  if (fstat(op->fd, &now) != 0)
    return fs__failed(op, "fstat", op->path);
  if ((now.st_uid != st->st_uid || now.st_gid != st->st_gid) &&
      fchown(op->fd, st->st_uid, st->st_gid) != 0)
    mode &= 0777;
  mode = fs__acl_copy(target, -1, op->fd, mode);
  if (fchmod(op->fd, mode) != 0)
    return fs__failed(op, "fchmod", op->path);
  return 0;
}

/* Leaves errno alone if it is one. */
static int is_link(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

/* A new path beside it, which tells whose it is if it stays behind: that of
   "config" is ".neap-config-0123456789abcdef". */
static char *temporary_beside(const char *path) {
  char prefix[256];
  const char *slash = strrchr(path, '/');
  const char *name = slash != NULL ? slash + 1 : path;
  (void)snprintf(prefix, sizeof prefix, ".neap-%.200s-", name);
  return fs__temporary(path, (size_t)(name - path), prefix);
}

/* Writes a file beside it, which then takes its place. */
static void run_write_atomic(module_work *work) {
  write_op *w = (write_op *)work;
  fs__op *op = &w->op;
  struct stat st;
  char *target = realpath(op->path, NULL); /* links stay */
  int exists = target != NULL && stat(target, &st) == 0;
  if (target == NULL && (errno != ENOENT || is_link(op->path))) {
    (void)fs__failed(op, "open", op->path); /* the link would not stay */
    return;
  }
  if (exists && !S_ISREG(st.st_mode)) {
    errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    (void)fs__failed(op, "open", op->path);
    free(target);
    return;
  }
  op->made = temporary_beside(exists ? target : op->path);
  if (op->made != NULL)
    op->fd = fs__open(op->made, O_WRONLY | O_CREAT | O_EXCL,
                      exists ? 0600 : op->mode);
  if (op->fd < 0)
    (void)fs__failed(op, "open", op->path);
  else {
    int status = exists ? become(op, target, &st) : 0;
    if (status == 0)
      status = write_all(w, 1);
    if (status == 0 && atomic_load(&work->cancelled))
      status = -1;
    if (status == 0 && rename(op->made, exists ? target : op->path) != 0)
      status = fs__failed(op, "rename", op->path);
    if (status != 0)
      (void)unlink(op->made); /* what failed first counts */
    else if (w->named)
      sync_name(op);
  }
  free(target);
}

/* Makes one for the path and data that are the first arguments. */
static write_op *write_new(lua_State *L, const char *function, mode_t mode,
                           int flags, int sync) {
  size_t size;
  const char *data = module_string(L, 2, function, "data", &size);
  write_op *w =
      (write_op *)fs__op_new(L, sizeof *w + size, function, 1, 0);
  memcpy(w->bytes, data, size);
  w->size = size;
  w->op.mode = mode;
  w->flags = O_WRONLY | O_CREAT | flags;
  w->sync = w->named = sync;
  return w;
}

/* Lua: write(path, data [, options]) */
static int fs_write(lua_State *L) {
  static const char function[] = "fs.write";
  static const char *const known[] = {"atomic", "mode", "sync", NULL};
  int atomic, sync;
  mode_t mode;
  write_op *w;
  module_options(L, 3, function, known);
  atomic = module_boolean(L, 4, function, "atomic");
  mode = fs__permissions(L, 5, function, 0666);
  sync = module_boolean(L, 6, function, "sync");
  w = write_new(L, function, mode, O_TRUNC, sync);
  if (atomic) /* the name is not to be there before the bytes */
    w->sync = 1;
  return fs__op_run(L, &w->op, atomic ? run_write_atomic : run_write,
                    fs__nothing);
}

/* Lua: append(path, data [, options]) */
static int fs_append(lua_State *L) {
  static const char function[] = "fs.append";
  static const char *const known[] = {"mode", "sync", NULL};
  int sync;
  mode_t mode;
  write_op *w;
  module_options(L, 3, function, known);
  mode = fs__permissions(L, 4, function, 0666);
  sync = module_boolean(L, 5, function, "sync");
  w = write_new(L, function, mode, O_APPEND, sync);
  return fs__op_run(L, &w->op, run_write, fs__nothing);
}

/* ====================================================== } */

const luaL_Reg fs__whole_functions[] = {{"read", fs_read},
                                        {"write", fs_write},
                                        {"append", fs_append},
                                        {NULL, NULL}};
