/*
** copy.c - copying: a file, or one entry of a tree, whose folders fs.lua goes
** through.
**
** An entry is taken from the folder where it was found, and put into the one
** that was made, or found, for that: whoever exchanges names meanwhile leads
** neither of them out of its tree.
*/
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#if defined(__linux__)
#include <linux/fs.h>
#endif

#include "fs.h"

#define PIECE ((size_t)65536)     /* of a copy through memory */
#define STRETCH ((size_t)1 << 26) /* of a copy in the kernel, at a time */

/* Where something is: a path; of an entry, a name in its folder. */
typedef struct place {
  int folder;
  const char *name;
  lua_Integer dev, ino; /* the folder has to be that one */
} place;

typedef struct copy_op {
  fs__op op;       /* flag: what is there is overwritten */
  int recursive;   /* folders are made, too */
  int entry;       /* of a tree: links are copied, and not followed */
  int is_folder;   /* it was one, and has been made: */
  struct stat made;
  place from, to;
} copy_op;

/* {======================================================
** Files
** ======================================================= */

/* Lets the kernel copy. 1: done; 0: it cannot; -1: failed. */
static int copy_in_kernel(fs__op *op, int out) {
#if defined(__linux__)
  int begun = 0;
  if (ioctl(out, FICLONE, op->fd) == 0)
    return 1;
  while (!atomic_load(&op->work.cancelled)) {
    ssize_t n = copy_file_range(op->fd, NULL, out, NULL, STRETCH, 0);
    if (n == 0)
      return begun; /* of files in /proc it copies nothing */
    if (n > 0)
      begun = 1;
    else if (begun && errno != EINTR)
      return fs__failed(op, "copy_file_range", op->other);
    else if (errno != EINTR)
      return 0; /* other kinds of file systems; the next way tells why */
  }
  return 1;
#else
  (void)op;
  (void)out;
  return 0;
#endif
}

static int copy_through_memory(fs__op *op, int out) {
  op->data = (char *)malloc(PIECE);
  if (op->data == NULL)
    return fs__failed(op, "read", op->path);
  while (!atomic_load(&op->work.cancelled)) {
    ssize_t n = fs__read(&op->work, op->fd, 1, op->data, PIECE);
    size_t done = 0;
    if (n == 0)
      return 0;
    if (n < 0)
      return fs__failed(op, "read", op->path);
    if (fs__write(&op->work, out, 1, op->data, (size_t)n, &done) != 0)
      return fs__failed(op, "write", op->other);
  }
  return 0;
}

static int is_same(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int open_to(const copy_op *c, const char *name, int flags, mode_t mode) {
  return fs__open_at(c->to.folder, name, O_WRONLY | flags, mode);
}

/* Opens what is copied to: of an entry always a new file, which is op->made
   where it is to take the place of another one. -1: failed. */
static int open_copy(copy_op *c, const struct stat *from, int *created) {
  fs__op *op = &c->op;
  mode_t mode = from->st_mode & 0700;
  struct stat st;
  int fd = open_to(c, c->to.name, O_CREAT | O_EXCL, mode);
  if (fd < 0 && errno == EEXIST && op->flag && c->entry) {
    op->made = fs__temporary("", 0, ".neap-copy-");
    if (op->made != NULL)
      fd = open_to(c, op->made, O_CREAT | O_EXCL, mode);
  }
  *created = fd >= 0;
  if (fd >= 0)
    return fd;
  if (errno == EEXIST && op->flag && !c->entry)
    fd = open_to(c, c->to.name, 0, 0);
  if (fd < 0)
    return fs__failed(op, "open", op->other);
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && !is_same(&st, from) &&
      ftruncate(fd, 0) == 0)
    return fd;
  errno = EINVAL; /* onto itself, or into a device */
  (void)fs__failed(op, "open", op->other);
  (void)close(fd); /* nothing was written */
  return -1;
}

/* The permissions of a copy. To act as the owner does was granted by that one
   alone: who copies does not grant it as well. */
static mode_t mode_of(int out, const struct stat *from) {
  struct stat st;
  int is_own = fstat(out, &st) == 0 && st.st_uid == from->st_uid &&
               st.st_gid == from->st_gid;
  return from->st_mode & (is_own ? 07777 : 0777);
}

static void copy_file(copy_op *c, const struct stat *st) {
  fs__op *op = &c->op;
  int created, status, out = open_copy(c, st, &created);
  if (out < 0)
    return;
  status = copy_in_kernel(op, out);
  if (status == 0)
    status = copy_through_memory(op, out);
  if (status >= 0 &&
      fchmod(out, fs__acl_copy(NULL, op->fd, out, mode_of(out, st))) != 0)
    status = fs__failed(op, "fchmod", op->other);
  if (fs__close(out) != 0 && status >= 0)
    status = fs__failed(op, "close", op->other);
  if (atomic_load(&op->work.cancelled))
    status = -1;
  if (status >= 0 && op->made != NULL &&
      renameat(c->to.folder, op->made, c->to.folder, c->to.name) != 0)
    status = fs__failed(op, "rename", op->other);
  if (created && status < 0) /* what failed first counts */
    (void)unlinkat(c->to.folder, op->made != NULL ? op->made : c->to.name, 0);
}

/* ====================================================== } */

/* {======================================================
** Folders and links
** ======================================================= */

/* Is the folder that one, or somewhere below it? */
static int is_below(const char *path, const struct stat *st) {
  char up[PATH_MAX];
  size_t len = strlen(path);
  struct stat here, below = {0};
  if (len >= sizeof up)
    return 0;
  memcpy(up, path, len + 1);
  while (stat(up, &here) == 0 && !is_same(&here, &below)) { /* but "/" */
    if (is_same(&here, st))
      return 1;
    if (len + sizeof "/.." > sizeof up)
      break;
    memcpy(up + len, "/..", sizeof "/..");
    len += sizeof "/.." - 1;
    below = here;
  }
  return 0;
}

/* Whether a folder is there, and which. */
static int find_folder(copy_op *c) {
  return fstatat(c->to.folder, c->to.name, &c->made,
                 c->entry ? AT_SYMLINK_NOFOLLOW : 0) == 0 &&
         S_ISDIR(c->made.st_mode);
}

/* Makes the folder, for its owner alone until all is in it; one that is there
   may be filled. */
static void copy_folder(copy_op *c, const struct stat *st) {
  fs__op *op = &c->op;
  int made = mkdirat(c->to.folder, c->to.name, 0700) == 0, error = errno;
  if ((!made && (error != EEXIST || !op->flag)) || !find_folder(c)) {
    errno = made ? ENOENT : error;
    (void)fs__failed(op, "mkdir", op->other);
  }
  else if (!c->entry && is_below(op->other, st)) {
    if (made)
      (void)rmdir(op->other); /* it is empty */
    errno = EINVAL;
    (void)fs__failed(op, "copy", op->path);
  }
  else
    c->is_folder = 1;
}

static void copy_link(copy_op *c) {
  fs__op *op = &c->op;
  char text[PATH_MAX];
  ssize_t n = readlinkat(c->from.folder, c->from.name, text, sizeof text - 1);
  int status;
  if (n < 0) {
    (void)fs__failed(op, "readlink", op->path);
    return;
  }
  text[n] = '\0';
  status = symlinkat(text, c->to.folder, c->to.name);
  if (status != 0 && errno == EEXIST && op->flag &&
      (unlinkat(c->to.folder, c->to.name, 0) == 0 || errno == ENOENT))
    status = symlinkat(text, c->to.folder, c->to.name);
  if (status != 0)
    (void)fs__failed(op, "symlink", op->other);
}

/* ====================================================== } */

/* Goes to the folder of what is at that path. 0: failed. */
static int find(fs__op *op, place *p, const char *path) {
  p->folder = fs__open_parent(path, p->dev, p->ino, &p->name);
  if (p->folder < 0)
    (void)fs__failed(op, "open", path);
  return p->folder >= 0;
}

static void copy(copy_op *c) {
  fs__op *op = &c->op;
  struct stat st;
  if (c->entry &&
      (!find(op, &c->from, op->path) || !find(op, &c->to, op->other)))
    return;
  if (c->entry &&
      fstatat(c->from.folder, c->from.name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
      S_ISLNK(st.st_mode)) {
    copy_link(c);
    return;
  }
  op->fd = fs__open_at(c->from.folder, c->from.name,
                       O_RDONLY | (c->entry ? O_NOFOLLOW : 0), 0);
  if (op->fd < 0 || fstat(op->fd, &st) != 0)
    (void)fs__failed(op, "open", op->path);
  else if (S_ISREG(st.st_mode))
    copy_file(c, &st);
  else if (S_ISDIR(st.st_mode) && c->recursive)
    copy_folder(c, &st);
  else {
    errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    (void)fs__failed(op, "read", op->path);
  }
}

static void close_folders(copy_op *c) {
  if (c->from.folder >= 0)
    (void)close(c->from.folder); /* nothing can be lost */
  if (c->to.folder >= 0)
    (void)close(c->to.folder);
}

static void run_copy(module_work *work) {
  copy((copy_op *)work);
  close_folders((copy_op *)work);
}

static int push_folder(lua_State *L, module_work *work) {
  copy_op *c = (copy_op *)work;
  fs__raise_failed(L, &c->op);
  if (!c->is_folder)
    return 0;
  lua_pushinteger(L, (lua_Integer)c->made.st_dev);
  lua_pushinteger(L, (lua_Integer)c->made.st_ino);
  return 2;
}

static copy_op *copy_new(lua_State *L, int overwrite, int recursive) {
  copy_op *c = (copy_op *)fs__op_new(L, sizeof *c, "fs.copy", 1, 2);
  c->op.flag = overwrite;
  c->recursive = recursive;
  c->from.folder = c->to.folder = AT_FDCWD;
  c->from.name = c->op.path;
  c->to.name = c->op.other;
  return c;
}

/* Lua: copy(from, to [, options]) -> dev, ino of the folder that has been made,
   if it is one: with what is in it fs.lua goes on */
static int fs_copy(lua_State *L) {
  static const char function[] = "fs.copy";
  static const char *const known[] = {"overwrite", "recursive", NULL};
  int overwrite, recursive;
  copy_op *c;
  module_options(L, 3, function, known);
  overwrite = lua_isnil(L, 4) || module_boolean(L, 4, function, "overwrite");
  recursive = module_boolean(L, 5, function, "recursive");
  c = copy_new(L, overwrite, recursive);
  return fs__op_run(L, &c->op, run_copy, push_folder);
}

/* Lua: copy_entry(from, to, overwrite, dev, ino, dev, ino: of the folders where
   it is, and where it is to be) -> as copy */
static int fs_copy_entry(lua_State *L) {
  copy_op *c = copy_new(L, lua_toboolean(L, 3), 1);
  c->entry = 1;
  c->from.folder = c->to.folder = -1;
  c->from.dev = lua_tointeger(L, 4);
  c->from.ino = lua_tointeger(L, 5);
  c->to.dev = lua_tointeger(L, 6);
  c->to.ino = lua_tointeger(L, 7);
  return fs__op_run(L, &c->op, run_copy, push_folder);
}

/* Gives a folder the permissions of the other. */
static void run_copy_mode(module_work *work) {
  copy_op *c = (copy_op *)work;
  fs__op *op = &c->op;
  struct stat st;
  op->fd = fs__open_folder(op->path, 0);
  if (op->fd < 0 || fstat(op->fd, &st) != 0)
    (void)fs__failed(op, "open", op->path);
  else if ((c->to.folder =
                fs__open_same(op->other, 0, c->to.dev, c->to.ino)) < 0)
    (void)fs__failed(op, "open", op->other);
  else if (fchmod(c->to.folder, fs__acl_copy(NULL, op->fd, c->to.folder,
                                             st.st_mode & 07777)) != 0)
    (void)fs__failed(op, "fchmod", op->other);
  close_folders(c);
}

/* Lua: copy_mode(from, to, dev, ino: of that) */
static int fs_copy_mode(lua_State *L) {
  copy_op *c = copy_new(L, 1, 1);
  c->to.dev = lua_tointeger(L, 3);
  c->to.ino = lua_tointeger(L, 4);
  return fs__op_run(L, &c->op, run_copy_mode, fs__nothing);
}

const luaL_Reg fs__copy_functions[] = {{"copy", fs_copy},
                                       {"copy_entry", fs_copy_entry},
                                       {"copy_mode", fs_copy_mode},
                                       {NULL, NULL}};
