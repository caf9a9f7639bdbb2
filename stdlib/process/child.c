/*
** child.c - children: their start, their end, and who waits for it.
**
** A child's block has its handle of libuv, and ends with that, after the
** child. The userdata that scripts hold, the box, may go before: the child
** goes on. All blocks of a VM are in a list, whose end, with the VM, is that
** of the children: no zombies are left, and nobody who was not told to stay.
**
** The handle keeps the loop alive while a task waits for it.
**
** A child may lead a group, with what it starts in turn: then signals are for
** all of it, and it ends when the last one has.
*/
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

#define CHILD_TYPE "process.child"
#define LAST_GRACE 1000 /* ms that children have when the VM ends */
#define POLL_EVERY 5    /* ms */
#define GROUP_EVERY 0.02 /* s: how often a group that is to end is looked at */
#define MOST_GRACE 1e9  /* s: more is for ever */

static const char list_key = 0; /* in the registry */

typedef struct block {
  uv_process_t handle;
  neap_vm *vm;       /* whose loop it has retained */
  struct child *box; /* NULL: nobody wants to know */
  struct block **at; /* what points to it in the list */
  struct block *next;
  int detached; /* it stays when the VM ends */
  int group;    /* signals are for the group that it leads */
  int waited_for;
} block;

typedef struct list {
  block *first;
} list;

/* A task that waits; a userdata on its stack. */
typedef struct waiter {
  neap_wait wait;
  struct child *child;
  struct waiter *next;
  int ends_it; /* it has asked the child to end, and sees to it */
  uint64_t until; /* ns, of uv_hrtime: how long a group has for that */
} waiter;

typedef struct child {
  block *block; /* NULL: the child has ended */
  waiter *waiters;
  int code;
  int signal; /* that has ended it, or 0 */
  pid_t group; /* that it led, and which has not ended with it; or 0 */
} child;

/* {======================================================
** Signals
** ======================================================= */

static int block_kill(const block *b, int signal) {
  return uv_kill(b->group ? -b->handle.pid : b->handle.pid, signal);
}

/* Whether what the child has left behind is still there. */
static int has_group(child *c) {
  if (c->group != 0 && !process__group_runs(c->group))
    c->group = 0;
  return c->group != 0;
}

/* UV_ESRCH: it is not there. */
static int child_send(child *c, int signal) {
  if (c->block != NULL)
    return block_kill(c->block, signal);
  return has_group(c) ? uv_kill(-c->group, signal) : UV_ESRCH;
}

/* ====================================================== } */

/* {======================================================
** The end of a child
** ======================================================= */

static void block_freed(uv_handle_t *handle) {
  block *b = (block *)handle->data;
  neap_loop_release(b->vm);
  free(b);
}

/* Takes it out of the list, and tells those who wait. */
static void block_end(block *b, int code, int signal) {
  child *box = b->box;
  *b->at = b->next;
  if (b->next != NULL)
    b->next->at = b->at;
  if (box != NULL) {
    waiter *w;
    box->block = NULL;
    box->code = code;
    box->signal = signal;
    box->group = b->group ? b->handle.pid : 0;
    (void)has_group(box); /* mostly not */
    for (w = box->waiters; w != NULL; w = w->next)
      (void)neap_wake(&w->wait);
  }
  uv_close((uv_handle_t *)&b->handle, block_freed);
}

static void exited(uv_process_t *handle, int64_t code, int signal) {
  block_end((block *)handle->data, (int)code, signal);
}

static int child_gc(lua_State *L) {
  child *c = (child *)lua_touserdata(L, 1);
  if (c->block != NULL)
    c->block->box = NULL;
  return 0;
}

/* Whether the child is still there, or one of its group: for these there is
   the time alone, since it is not for us to see that they are gone. */
static int block_is_left(block *b, int in_time) {
  if (!b->waited_for && waitpid(b->handle.pid, NULL, WNOHANG) != 0)
    b->waited_for = 1;
  return !b->waited_for ||
         (b->group && in_time && process__group_runs(b->handle.pid));
}

/* Lets them end; those that do not within the time are killed. The loop does
   not run any more, and would not see it. */
static void end_all(block *first) {
  int ms, left = 1;
  block *b;
  for (b = first; b != NULL; b = b->next) {
    if (!b->detached)
      (void)block_kill(b, SIGTERM); /* or it has ended */
  }
  for (ms = 0; left; ms += POLL_EVERY) {
    left = 0;
    for (b = first; b != NULL; b = b->next) {
      if (!block_is_left(b, ms <= LAST_GRACE) || b->detached)
        continue;
      if (ms == LAST_GRACE)
        (void)block_kill(b, SIGKILL);
      left = 1;
    }
    if (left)
      uv_sleep(POLL_EVERY);
  }
}

/* Lua: __gc of the list: the VM ends */
static int list_gc(lua_State *L) {
  list *all = (list *)lua_touserdata(L, 1);
  end_all(all->first);
  while (all->first != NULL)
    block_end(all->first, 0, SIGKILL);
  return 0;
}

/* ====================================================== } */

/* {======================================================
** Waiting
** ======================================================= */

static child *child_check(lua_State *L) {
  return (child *)luaL_checkudata(L, 1, CHILD_TYPE);
}

/* Whether somebody waits tells whether the loop is to. */
static void set_ref(child *c) {
  if (c->block == NULL)
    return;
  if (c->waiters != NULL)
    uv_ref((uv_handle_t *)&c->block->handle);
  else
    uv_unref((uv_handle_t *)&c->block->handle);
}

static void leave(waiter *w) {
  waiter **at = &w->child->waiters;
  while (*at != w)
    at = &(*at)->next;
  *at = w->next;
  set_ref(w->child);
}

static void cancelled(neap_wait *wait) {
  waiter *w = (waiter *)wait;
  if (w->ends_it) /* now there is no time left */
    (void)child_send(w->child, SIGKILL);
  leave(w);
}

/* Gives the exit code; or nil, the signal. */
static int push_end(lua_State *L, const child *c) {
  const char *name = module_signal_name(c->signal);
  if (c->signal == 0) {
    lua_pushinteger(L, c->code);
    return 1;
  }
  lua_pushnil(L);
  if (name != NULL)
    lua_pushstring(L, name);
  else
    lua_pushfstring(L, "%d", c->signal);
  return 2;
}

static int woken(lua_State *L, int status, lua_KContext ctx) {
  waiter *w = (waiter *)ctx;
  child *c = w->child;
  double seconds = HUGE_VAL;
  int late = status == NEAP_ETIMEDOUT;
  if (c->block == NULL && w->ends_it && has_group(c)) {
    late = uv_hrtime() >= w->until;
    seconds = GROUP_EVERY;
  }
  if (late)
    (void)child_send(c, SIGKILL);
  if (c->block != NULL || (seconds < HUGE_VAL && !late))
    return neap_suspend(L, &w->wait, seconds, ctx, woken);
  leave(w);
  return push_end(L, c);
}

static waiter *waiter_new(lua_State *L, child *c) {
  waiter *w = (waiter *)lua_newuserdatauv(L, sizeof *w, 0);
  memset(w, 0, sizeof *w);
  w->child = c;
  w->next = c->waiters;
  c->waiters = w;
  w->wait.what = "the end of a process";
  w->wait.cancel = cancelled;
  set_ref(c);
  return w;
}

/* Lua: wait(child) -> exit code; or nil, name of the signal. Suspends. */
static int child_wait(lua_State *L) {
  child *c = child_check(L);
  waiter *w;
  module_check(L, NEAP_CAN_PROCESS, "Process.wait");
  if (c->block == NULL)
    return push_end(L, c);
  w = waiter_new(L, c);
  return neap_suspend(L, &w->wait, HUGE_VAL, (lua_KContext)w, woken);
}

/* Lua: finish(child, grace or nil): asks it to end, and kills it after so many
   seconds. Suspends; but without a grace it is killed at once. Whatever may be
   granted. */
static int child_finish(lua_State *L) {
  child *c = child_check(L);
  int at_once = lua_isnoneornil(L, 2);
  lua_Number grace = module_seconds(L, 2, "Process.stop", "grace");
  waiter *w;
  if (child_send(c, at_once ? SIGKILL : SIGTERM) != 0 && c->block == NULL)
    return push_end(L, c);
  if (at_once)
    return 0;
  w = waiter_new(L, c);
  w->ends_it = 1;
  w->until = grace < MOST_GRACE ? uv_hrtime() + (uint64_t)(grace * 1e9)
                                : UINT64_MAX;
  return neap_suspend(L, &w->wait, c->block != NULL ? grace : 0,
                      (lua_KContext)w, woken);
}

/* Lua: poll(child) -> nil while it runs; as wait. */
static int child_poll(lua_State *L) {
  child *c = child_check(L);
  return c->block == NULL ? push_end(L, c) : 0;
}

/* Lua: kill(child, signal) -> whether it was still there */
static int child_kill(lua_State *L) {
  child *c = child_check(L);
  int status, signal = module_signal(L, 2, "Process.kill");
  module_check(L, NEAP_CAN_PROCESS, "Process.kill");
  status = child_send(c, signal);
  if (status != 0 && status != UV_ESRCH)
    return module_os_error(L, status, "kill", NULL, NULL);
  lua_pushboolean(L, status == 0);
  return 1;
}

/* ====================================================== } */

/* {======================================================
** The start of a child
** ======================================================= */

/* Pushes a userdata: a vector of the strings in the list at `arg`, NULL behind
   them. */
static char **push_vector(lua_State *L, int arg, const char *what) {
  lua_Integer i, n = (lua_Integer)lua_rawlen(L, arg);
  char **vector =
      (char **)lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *vector, 0);
  for (i = 0; i < n; i++) {
    lua_rawgeti(L, arg, i + 1);
    vector[i] = (char *)module_path(L, -1, "process", what);
    lua_pop(L, 1); /* the list keeps it */
  }
  vector[n] = NULL;
  return vector;
}

/* What was wrong: a folder that is none fails as the program does. */
static int raise_failure(lua_State *L, int status,
                         const uv_process_options_t *options) {
  struct stat info;
  if (options->cwd != NULL) {
    int wrong = stat(options->cwd, &info) != 0            ? errno
                : !S_ISDIR(info.st_mode)                  ? ENOTDIR
                : access(options->cwd, X_OK) != 0         ? errno
                                                          : 0;
    if (wrong != 0)
      return module_os_error(L, uv_translate_sys_error(wrong), "chdir", "path",
                             options->cwd);
  }
  return module_os_error(L, status, "spawn", "path", options->file);
}

/* Begins the block of the child, and stores it when the child runs. */
static int start(neap_vm *vm, uv_loop_t *loop, block **started,
                 const uv_process_options_t *options) {
  block *b = (block *)calloc(1, sizeof *b);
  int status;
  if (b == NULL)
    return UV_ENOMEM;
  status = process__spawn(loop, &b->handle, options);
  b->handle.data = b;
  b->vm = vm;
  neap_loop_retain(vm);
  if (status == 0)
    *started = b;
  else
    uv_close((uv_handle_t *)&b->handle, block_freed);
  return status;
}

typedef struct three {
  process_stdio io[3];
  int started;
} three;

/* Lua: __close of what the child gets */
static int three_close(lua_State *L) {
  three *t = (three *)lua_touserdata(L, 1);
  int i;
  for (i = 0; i < 3; i++)
    process__stdio_close(L, &t->io[i], t->started);
  return 0;
}

/* Pushes it, to be closed. */
static three *push_three(lua_State *L) {
  three *t = (three *)lua_newuserdatauv(L, sizeof *t, 0);
  int i;
  memset(t, 0, sizeof *t);
  for (i = 0; i < 3; i++)
    t->io[i].fd = -1;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, three_close);
  lua_setfield(L, -2, "__close");
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  return t;
}

/* Lua: spawn(argv, env or nil, cwd or nil, stdin, stdout, stderr, detached,
   group) -> child, pid, and its pipes: streams or nil */
static int child_spawn(lua_State *L) {
  enum { ARGV = 1, ENV, CWD, STDIN, DETACHED = STDIN + 3, GROUP };
  uv_process_options_t options = {0};
  uv_stdio_container_t stdio[3];
  uv_loop_t *loop;
  child *c;
  three *t;
  list *all;
  int i, results, status;
  module_check(L, NEAP_CAN_PROCESS, "process");
  lua_settop(L, GROUP);
  if ((status = neap_loop(neap_from_lua(L), &loop)) != NEAP_OK)
    return luaL_error(L, "%s", neap_strerror(status));
  lua_rawgetp(L, LUA_REGISTRYINDEX, &list_key);
  all = (list *)lua_touserdata(L, -1);
  options.args = push_vector(L, ARGV, "an argument");
  options.file = options.args[0];
  if (!lua_isnil(L, ENV))
    options.env = push_vector(L, ENV, "a variable");
  if (!lua_isnil(L, CWD))
    options.cwd = module_path(L, CWD, "process", "cwd");
  options.exit_cb = exited;
  if (lua_toboolean(L, DETACHED) || lua_toboolean(L, GROUP))
    options.flags = UV_PROCESS_DETACHED; /* it leads a session and a group */
  options.stdio = stdio;
  options.stdio_count = 3;
  t = push_three(L);
  c = (child *)lua_newuserdatauv(L, sizeof *c, 0);
  memset(c, 0, sizeof *c);
  luaL_setmetatable(L, CHILD_TYPE);
  results = lua_gettop(L);
  lua_pushnil(L); /* the pid */
  for (i = 0; i < 3; i++) {
    process__stdio_open(L, STDIN + i, i, &t->io[i], &t->io[1]);
    stdio[i].flags = t->io[i].fd < 0 ? UV_IGNORE : UV_INHERIT_FD;
    stdio[i].data.fd = t->io[i].fd;
  }
  status = start(neap_from_lua(L), loop, &c->block, &options);
  if (status != 0)
    return raise_failure(L, status, &options);
  t->started = 1;
  c->block->box = c;
  c->block->detached = lua_toboolean(L, DETACHED);
  c->block->group = lua_toboolean(L, GROUP);
  c->block->next = all->first;
  c->block->at = &all->first;
  if (all->first != NULL)
    all->first->at = &c->block->next;
  all->first = c->block;
  set_ref(c);
  lua_pushinteger(L, c->block->handle.pid);
  lua_replace(L, results + 1);
  return 5;
}

/* ====================================================== } */

const luaL_Reg process__child_functions[] = {
    {"finish", child_finish}, {"kill_child", child_kill}, {"poll", child_poll},
    {"spawn", child_spawn},   {"wait", child_wait},       {NULL, NULL}};

void process__child_init(lua_State *L) {
  list *all;
  process__spawn_init(L);
  all = (list *)lua_newuserdatauv(L, sizeof *all, 0);
  all->first = NULL;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, list_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &list_key);
  luaL_newmetatable(L, CHILD_TYPE);
  lua_pushcfunction(L, child_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
