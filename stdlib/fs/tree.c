/*
** tree.c - folders: what is in one, and removing all that is in one.
*/
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs.h"

/* {======================================================
** The names in a folder
** ======================================================= */

#define PIECE 1000 /* bytes of a path that the system takes at once */

#if defined(O_PATH)
#define SEARCH O_PATH /* it need not be readable */
#else
#define SEARCH 0
#endif

typedef struct entry {
  const char *type; /* static */
  char name[];
} entry;

typedef struct list_op {
  fs__op op;
  entry **entries; /* sorted by name */
  size_t count, room;
  dev_t dev;       /* the folder */
  ino_t ino;
  int inside;      /* it has to be in this one, and no link */
  lua_Integer above_dev, above_ino;
} list_op;

static void free_entries(module_work *work) {
  list_op *l = (list_op *)work;
  while (l->count > 0)
    free(l->entries[--l->count]);
  free(l->entries);
}

static int by_name(const void *a, const void *b) {
  return strcmp((*(entry *const *)a)->name, (*(entry *const *)b)->name);
}

static const char *type_of(DIR *dir, const struct dirent *d) {
  struct stat st;
  switch (d->d_type) {
  case DT_UNKNOWN: /* the file system does not tell it here */
    if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
      return "unknown"; /* it has gone */
    return fs__type_name(st.st_mode);
  default:
    return fs__type_name(DTTOIF(d->d_type));
  }
}

/* 0: no memory. */
static int add_entry(list_op *l, DIR *dir, const struct dirent *d) {
  size_t len = strlen(d->d_name) + 1;
  entry *e;
  if (l->count == l->room) {
    size_t room = l->room > 0 ? 2 * l->room : 16;
    entry **entries =
        (entry **)realloc(l->entries, room * sizeof *l->entries);
    if (entries == NULL)
      return 0;
    l->entries = entries;
    l->room = room;
  }
  if ((e = (entry *)malloc(sizeof *e + len)) == NULL)
    return 0;
  e->type = type_of(dir, d);
  memcpy(e->name, d->d_name, len);
  l->entries[l->count++] = e;
  return 1;
}

static int is_dots(const char *name) {
  return name[0] == '.' &&
         (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* The next in it but "." and ".."; NULL with errno 0 at the end. */
static struct dirent *next_entry(DIR *dir) {
  struct dirent *d;
  do {
    errno = 0;
    d = readdir(dir);
  } while (d != NULL && is_dots(d->d_name));
  return d;
}

int fs__open_folder(const char *path, int flags) {
  char piece[PIECE + 1];
  const char *rest = path;
  int fd = AT_FDCWD;
  do {
    int above = fd, error;
    size_t len = strlen(rest);
    if (len > PIECE) {
      for (len = PIECE; len > 0 && rest[len] != '/';)
        len--;
      if (len == 0) /* no name is so long, as the system will say */
        len = PIECE;
    }
    memcpy(piece, rest, len);
    piece[len] = '\0';
    rest += len + strspn(rest + len, "/");
    fd = openat(above, piece,
                O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK | flags);
    error = errno;
    if (above >= 0)
      (void)close(above); /* nothing can be lost */
    errno = error;
  } while (fd >= 0 && *rest != '\0');
  return fd;
}

int fs__open_same(const char *path, int flags, lua_Integer dev,
                  lua_Integer ino) {
  int fd = fs__open_folder(path, flags);
  struct stat st;
  if (fd >= 0 && (fstat(fd, &st) != 0 || (lua_Integer)st.st_dev != dev ||
                  (lua_Integer)st.st_ino != ino)) {
    (void)close(fd); /* nothing can be lost */
    errno = ENOENT;  /* where it was, it is no more */
    fd = -1;
  }
  return fd;
}

int fs__open_parent(const char *path, lua_Integer dev, lua_Integer ino,
                    const char **name) {
  char *folder = strdup(path);
  size_t len = strlen(path);
  int fd, error;
  if (folder == NULL)
    return -1;
  while (path[len - 1] != '/')
    len--;
  folder[len] = '\0';
  *name = path + len;
  fd = fs__open_same(folder, SEARCH, dev, ino);
  error = errno;
  free(folder);
  errno = error;
  return fd;
}

/* Opens the folder; where it was found, if it was. */
static int open_list(const list_op *l) {
  const char *name;
  int parent, fd, error;
  if (!l->inside)
    return fs__open_folder(l->op.path, 0);
  parent = fs__open_parent(l->op.path, l->above_dev, l->above_ino, &name);
  if (parent < 0)
    return -1;
  fd = fs__open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  error = errno;
  (void)close(parent); /* nothing can be lost */
  errno = error;
  return fd;
}

static void run_list(module_work *work) {
  list_op *l = (list_op *)work;
  fs__op *op = &l->op;
  int fd = open_list(l);
  DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
  struct dirent *d;
  struct stat st;
  if (dir == NULL) {
    (void)fs__failed(op, "open", op->path);
    if (fd >= 0)
      (void)close(fd); /* nothing can be lost */
    return;
  }
  if (fstat(fd, &st) == 0) {
    l->dev = st.st_dev;
    l->ino = st.st_ino;
  }
  while ((d = next_entry(dir)) != NULL && !atomic_load(&work->cancelled))
    if (!add_entry(l, dir, d)) {
      errno = ENOMEM;
      break;
    }
  if (errno != 0)
    (void)fs__failed(op, "readdir", op->path);
  (void)closedir(dir); /* nor here */
  if (l->count > 1)
    qsort(l->entries, l->count, sizeof *l->entries, by_name);
}

static int push_names(lua_State *L, module_work *work) {
  list_op *l = (list_op *)work;
  size_t i;
  fs__raise_failed(L, &l->op);
  lua_createtable(L, (int)l->count, 0);
  for (i = 0; i < l->count; i++) {
    lua_pushstring(L, l->entries[i]->name);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* name, type, name, type ...; and which folder it is: two integers */
static int push_entries(lua_State *L, module_work *work) {
  list_op *l = (list_op *)work;
  size_t i;
  fs__raise_failed(L, &l->op);
  lua_createtable(L, 2 * (int)l->count, 0);
  for (i = 0; i < l->count; i++) {
    lua_pushstring(L, l->entries[i]->name);
    lua_rawseti(L, -2, 2 * (lua_Integer)i + 1);
    lua_pushstring(L, l->entries[i]->type);
    lua_rawseti(L, -2, 2 * (lua_Integer)i + 2);
  }
  lua_pushinteger(L, (lua_Integer)l->dev);
  lua_pushinteger(L, (lua_Integer)l->ino);
  return 3;
}

static list_op *list_new(lua_State *L, const char *function) {
  list_op *l = (list_op *)fs__op_new(L, sizeof *l, function, 1, 0);
  l->op.work.dispose = free_entries;
  return l;
}

/* Lua: list(path) -> names, sorted */
static int fs_list(lua_State *L) {
  list_op *l = list_new(L, "fs.list");
  return fs__op_run(L, &l->op, run_list, push_names);
}

/* Lua: scan(path [, dev, ino: of the folder that it has to be in]) ->
   {name, type, ...}, dev, ino: for walk */
static int fs_scan(lua_State *L) {
  list_op *l = list_new(L, "fs.walk");
  l->inside = !lua_isnoneornil(L, 2);
  l->above_dev = lua_tointeger(L, 2);
  l->above_ino = lua_tointeger(L, 3);
  return fs__op_run(L, &l->op, run_list, push_entries);
}

/* ====================================================== } */

/* {======================================================
** remove
**
** A folder is emptied through its descriptor, and a name in it is opened as
** a folder only if it is no link: whoever exchanges names meanwhile cannot
** lead out of the tree. However deep that is, only the innermost folders are
** open. The way back to one that is not goes by "..", which has to lead to
** the same folder; then it is read from its beginning again, where what was
** read before is gone.
** ======================================================= */

#define MOST_OPEN 8 /* folders */

typedef struct level {
  DIR *dir;        /* NULL: it was closed meanwhile */
  size_t path_len; /* of its path in op->made */
  dev_t dev;       /* the folder */
  ino_t ino;
} level;

typedef struct remove_op {
  fs__op op;
  level *levels; /* from the top to where we are */
  size_t depth, room;
  size_t path_room; /* of op->made */
} remove_op;

static int failed_at(remove_op *r, const char *syscall) {
  return fs__failed(&r->op, syscall, r->op.made);
}

/* Makes op->made the path of a name in the folder where we are. */
static int set_path(remove_op *r, const char *name) {
  size_t len = r->levels[r->depth - 1].path_len, more = strlen(name) + 2;
  if (r->path_room < len + more) {
    char *made = (char *)realloc(r->op.made, 2 * (len + more));
    if (made == NULL)
      return fs__failed(&r->op, "openat", r->op.path);
    r->op.made = made;
    r->path_room = 2 * (len + more);
  }
  r->op.made[len] = '/';
  memcpy(r->op.made + len + 1, name, more - 1);
  return 0;
}

/* Opens a folder, which `st` then tells of. NULL: failed, with errno. */
static DIR *open_folder(int parent, const char *name, struct stat *st) {
  int fd = openat(parent, name,
                  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  DIR *dir = fd >= 0 && fstat(fd, st) == 0 ? fdopendir(fd) : NULL;
  if (dir == NULL && fd >= 0) {
    int error = errno;
    (void)close(fd); /* nothing can be lost */
    errno = error;
  }
  return dir;
}

/* Goes down into the folder `name` of `parent`; one that may not be read can be
   removed if it is empty. 1: it is none any more. */
static int enter(remove_op *r, int parent, const char *name) {
  struct stat st;
  level *inner;
  DIR *dir;
  if (r->depth == r->room) {
    size_t room = r->room > 0 ? 2 * r->room : 16;
    level *levels = (level *)realloc(r->levels, room * sizeof *levels);
    if (levels == NULL)
      return failed_at(r, "openat");
    r->levels = levels;
    r->room = room;
  }
  dir = open_folder(parent, name, &st);
  if (dir == NULL && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
    return 1;
  if (dir == NULL) {
    (void)failed_at(r, "openat");
    if (errno != EACCES || unlinkat(parent, name, AT_REMOVEDIR) != 0)
      return -1;
    r->op.status = 0;
    return 0;
  }
  inner = &r->levels[r->depth++];
  inner->dir = dir;
  inner->path_len = strlen(r->op.made);
  inner->dev = st.st_dev;
  inner->ino = st.st_ino;
  if (r->depth > MOST_OPEN && inner[-MOST_OPEN].dir != NULL) {
    (void)closedir(inner[-MOST_OPEN].dir); /* it was only read */
    inner[-MOST_OPEN].dir = NULL;
  }
  return 0;
}

/* Opens the folder above the one at r->depth, if it was closed. */
static int open_above(remove_op *r) {
  level *inner = &r->levels[r->depth], *outer = inner - 1;
  struct stat st;
  DIR *dir;
  if (outer->dir != NULL)
    return 0;
  dir = open_folder(dirfd(inner->dir), "..", &st);
  if (dir != NULL && (st.st_dev != outer->dev || st.st_ino != outer->ino)) {
    (void)closedir(dir);
    dir = NULL;
    errno = ENOENT; /* where it was, it is no more */
  }
  outer->dir = dir;
  return dir != NULL ? 0 : failed_at(r, "openat");
}

/* Leaves the folder where we are, which is empty, and removes it. */
static int leave(remove_op *r) {
  level *inner = &r->levels[--r->depth];
  const char *name = r->op.path;
  int parent = AT_FDCWD, status = 0;
  r->op.made[inner->path_len] = '\0';
  if (r->depth > 0) {
    status = open_above(r);
    if (status == 0)
      parent = dirfd(inner[-1].dir);
    name = r->op.made + inner[-1].path_len + 1;
  }
  (void)closedir(inner->dir);
  if (status == 0 && unlinkat(parent, name, AT_REMOVEDIR) != 0 &&
      errno != ENOENT)
    return failed_at(r, "rmdir");
  return status;
}

/* Removes the next name from the folder where we are, or enters it, or
   leaves when there is none. */
static int remove_next(remove_op *r) {
  DIR *dir = r->levels[r->depth - 1].dir;
  struct dirent *d = next_entry(dir);
  int status;
  if (d == NULL)
    return errno == 0 ? leave(r) : failed_at(r, "readdir");
  if (set_path(r, d->d_name) != 0)
    return -1;
  if (d->d_type == DT_DIR) {
    status = enter(r, dirfd(dir), d->d_name);
    if (status <= 0)
      return status;
  }
  if (unlinkat(dirfd(dir), d->d_name, 0) == 0 || errno == ENOENT)
    return 0;
  if (errno == EISDIR) { /* the type was not told */
    status = enter(r, dirfd(dir), d->d_name);
    return status > 0 ? 0 : status;
  }
  return failed_at(r, "unlink");
}

static void run_remove(module_work *work) {
  remove_op *r = (remove_op *)work;
  fs__op *op = &r->op;
  int status;
  if (unlink(op->path) == 0)
    return;
  if (errno != EISDIR) {
    (void)fs__failed(op, "unlink", op->path);
    return;
  }
  if (rmdir(op->path) == 0)
    return;
  if (!op->flag || (errno != ENOTEMPTY && errno != EEXIST)) {
    (void)fs__failed(op, "rmdir", op->path);
    return;
  }
  op->made = strdup(op->path);
  r->path_room = strlen(op->path) + 1;
  status = op->made != NULL ? enter(r, AT_FDCWD, op->path)
                            : fs__failed(op, "openat", op->path);
  if (status > 0)
    (void)fs__failed(op, "openat", op->path);
  while (status == 0 && r->depth > 0 && !atomic_load(&work->cancelled))
    status = remove_next(r);
  while (r->depth > 0)
    if (r->levels[--r->depth].dir != NULL)
      (void)closedir(r->levels[r->depth].dir);
}

static void dispose_remove(module_work *work) {
  remove_op *r = (remove_op *)work;
  free(r->levels);
  free(r->op.made);
}

static remove_op *remove_new(lua_State *L, const char *function,
                             int recursive) {
  remove_op *r = (remove_op *)fs__op_new(L, sizeof *r, function, 1, 0);
  char *path = (char *)r->op.path, *end = path + strlen(path);
  r->op.work.dispose = dispose_remove;
  r->op.flag = recursive;
  if (recursive) /* "link/" would be what the link leads to */
    while (end > path + 1 && end[-1] == '/')
      *--end = '\0';
  end = strrchr(path, '/');
  end = end != NULL ? end + 1 : path;
  if (is_dots(end) || (recursive && *end == '\0')) {
    free(r);
    (void)module_refuse(L, "%s: '%s' has no name that could be removed",
                        function, lua_tostring(L, 1));
    return NULL; /* never */
  }
  return r;
}

/* Lua: remove(path [, options]): a file, or an empty folder */
static int fs_remove(lua_State *L) {
  static const char function[] = "fs.remove";
  static const char *const known[] = {"recursive", NULL};
  int recursive;
  remove_op *r;
  module_options(L, 2, function, known);
  recursive = module_boolean(L, 3, function, "recursive");
  r = remove_new(L, function, recursive);
  return fs__op_run(L, &r->op, run_remove, fs__nothing);
}

/* Lua: discard(path, waits): all that is there, also when the task is
   cancelled; at once unless `waits` */
static int fs_discard(lua_State *L) {
  int waits = lua_toboolean(L, 2);
  remove_op *r = remove_new(L, "fs.remove", 1);
  r->op.work.to_the_end = 1;
  r->op.work.at_once = !waits;
  return fs__op_run(L, &r->op, run_remove, fs__nothing);
}

/* ====================================================== } */

const luaL_Reg fs__tree_functions[] = {{"list", fs_list},
                                       {"scan", fs_scan},
                                       {"remove", fs_remove},
                                       {"discard", fs_discard},
                                       {NULL, NULL}};
