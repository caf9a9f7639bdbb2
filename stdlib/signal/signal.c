/*
** signal.c - the C half of `signal`: a watch, which takes some signals of the
** process and gives their names to the task that waits.
**
** A watch has a uv_signal_t for each of its signals, all in one block, which
** the last close callback frees; what the task waits for is in the userdata,
** which its stack keeps. A signal that comes while nobody waits is kept until
** somebody asks; one that comes twice meanwhile counts once, as with the
** kernel.
**
** When libuv's last handle of a signal is closed, it restores the default
** disposition, not what was there before: for Ctrl-C that is the program's
** own handler. So the first watch of a signal in the process remembers it,
** and the last one puts it back.
*/
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../module/module.h"

MODULE_API int luaopen_signal_c(lua_State *L);

#define WATCH_TYPE "signal.watch"

typedef struct one {
  uv_signal_t handle;
  int number;
  int came;
} one;

typedef struct block {
  struct watch *owner; /* NULL: closed */
  neap_vm *vm;         /* has its loop retained while handles are open */
  int open;            /* handles that libuv has */
  one signals[];
} block;

typedef struct watch {
  block *block; /* NULL: closed */
  neap_wait wait;
  int count; /* of signals */
} watch;

/* {======================================================
** What signals did before
** ======================================================= */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
  unsigned watches;
  struct sigaction before;
  void (*ours)(int); /* libuv's handler */
} taken[NSIG];       /* of the whole process: guarded by the mutex */

/* No signal may come between two dispositions. */
static void block_signal(int number, sigset_t *before) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, before);
}

static void signal_came(uv_signal_t *handle, int number) {
  one *s = (one *)handle;
  block *b = (block *)handle->data;
  (void)number;
  s->came = 1;
  if (b->owner != NULL)
    (void)neap_wake(&b->owner->wait);
}

/* Starts the handle; a status of libuv's. */
static int take(one *s) {
  struct sigaction before, now;
  int number = s->number, status;
  pthread_mutex_lock(&mutex);
  sigaction(number, NULL, &before);
  status = uv_signal_start(&s->handle, signal_came, number);
  if (status == 0 && taken[number].watches++ == 0) {
    sigaction(number, NULL, &now);
    taken[number].ours = now.sa_handler;
    if (before.sa_handler == now.sa_handler) /* somebody else's libuv handle */
      before.sa_handler = SIG_DFL;
    taken[number].before = before;
  }
  pthread_mutex_unlock(&mutex);
  return status;
}

static void handle_closed(uv_handle_t *handle) {
  block *b = (block *)handle->data;
  if (--b->open > 0)
    return;
  neap_loop_release(b->vm);
  free(b);
}

/* Stops the handle. What another has set meanwhile stays. */
static void give_back(one *s) {
  struct sigaction now;
  sigset_t mask;
  int number = s->number, changed;
  pthread_mutex_lock(&mutex);
  block_signal(number, &mask);
  sigaction(number, NULL, &now);
  changed = now.sa_handler != taken[number].ours;
  (void)uv_signal_stop(&s->handle); /* cannot fail */
  sigaction(number, NULL, &now);
  if (--taken[number].watches == 0 && !changed && now.sa_handler == SIG_DFL)
    sigaction(number, &taken[number].before, NULL);
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
  pthread_mutex_unlock(&mutex);
}

/* ====================================================== } */

/* {======================================================
** Watches
** ======================================================= */

/* Closes it; also one that is half made. A task that waits goes on. */
static void watch_close(watch *w) {
  block *b = w->block;
  int i;
  if (b == NULL)
    return;
  w->block = NULL;
  b->owner = NULL;
  (void)neap_wake(&w->wait);
  if (b->open == 0)
    free(b);
  for (i = w->count; i-- > 0;) {
    if (uv_is_active((uv_handle_t *)&b->signals[i].handle))
      give_back(&b->signals[i]);
    uv_close((uv_handle_t *)&b->signals[i].handle, handle_closed);
  }
}

static watch *watch_check(lua_State *L) {
  return (watch *)luaL_checkudata(L, 1, WATCH_TYPE);
}

/* Lua: close(watch); __close; __gc */
static int lua_watch_close(lua_State *L) {
  watch_close(watch_check(L));
  return 0;
}

/* Refuses those that nobody can catch, those after which the program cannot
   go on where it was, and that of limits of time. */
static int check_signal(lua_State *L, int arg, const char *function) {
  int number = module_signal(L, arg, function);
  switch (number) {
  case SIGKILL:
  case SIGSTOP:
    return module_refuse(L, "%s: no program can catch %s", function,
                         module_signal_name(number));
  case SIGBUS:
  case SIGFPE:
  case SIGILL:
  case SIGSEGV:
    return module_refuse(L, "%s: %s tells of an error in the program itself, "
                            "which cannot go on then",
                         function, module_signal_name(number));
  case SIGURG: /* as neap_config's `signal` says */
    return module_refuse(L, "%s: URG stops scripts whose time is over",
                         function);
  default:
    return number;
  }
}

static void open_loop(lua_State *L, uv_loop_t **loop) {
  int status = neap_loop(neap_from_lua(L), loop);
  if (status != NEAP_OK)
    luaL_error(L, "%s", neap_strerror(status));
}

static int is_watched(const watch *w, int number) {
  int i;
  for (i = 0; i < w->count && w->block->signals[i].number != number; i++)
    ;
  return i < w->count;
}

/* Lua: watch(function, name, ...) -> watch */
static int watch_new(lua_State *L) {
  const char *function = lua_tostring(L, 1);
  int i, status, n = lua_gettop(L) - 1;
  uv_loop_t *loop;
  block *b;
  watch *w;
  module_check(L, NEAP_CAN_PROCESS, function);
  if (n == 0)
    return module_refuse(L, "%s: no signal is named", function);
  for (i = 1; i <= n; i++)
    (void)check_signal(L, i + 1, function);
  open_loop(L, &loop);
  w = (watch *)lua_newuserdatauv(L, sizeof *w, 0);
  memset(w, 0, sizeof *w);
  w->wait.what = "a signal";
  luaL_setmetatable(L, WATCH_TYPE);
  b = (block *)calloc(1, sizeof *b + (size_t)n * sizeof *b->signals);
  if (b == NULL)
    return luaL_error(L, "not enough memory");
  w->block = b;
  b->owner = w;
  b->vm = neap_from_lua(L);
  for (i = 0; i < n; i++) {
    one *s = &b->signals[w->count];
    s->number = check_signal(L, i + 2, function);
    if (is_watched(w, s->number)) /* named twice: it comes once */
      continue;
    status = uv_signal_init(loop, &s->handle);
    if (status == 0) {
      if (b->open == 0)
        neap_loop_retain(b->vm);
      s->handle.data = b;
      w->count = ++b->open;
      status = take(s);
    }
    if (status != 0) {
      watch_close(w);
      return module_os_error(L, status, "sigaction", NULL, NULL);
    }
  }
  return 1;
}

/* In the task, which may have been woken for several. */
static int look(lua_State *L, int status, lua_KContext ctx) {
  watch *w = (watch *)ctx;
  block *b = w->block;
  int i;
  (void)status;
  if (b == NULL)
    return 0;
  for (i = 0; i < w->count; i++) {
    if (b->signals[i].came) {
      b->signals[i].came = 0;
      lua_pushstring(L, module_signal_name(b->signals[i].number));
      return 1;
    }
  }
  return neap_suspend(L, &w->wait, HUGE_VAL, ctx, look);
}

/* Lua: next(watch) -> name; suspends the task until a signal comes. Nothing
   once the watch is closed. */
static int watch_next(lua_State *L) {
  watch *w = watch_check(L);
  module_check(L, NEAP_CAN_PROCESS, "signal");
  if (w->wait.pending)
    return module_refuse(L, "signal: another task waits for these signals");
  return look(L, 0, (lua_KContext)w);
}

/* ====================================================== } */

int luaopen_signal_c(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"close", lua_watch_close},
      {"next", watch_next},
      {"watch", watch_new},
      {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__close", lua_watch_close},
                                         {"__gc", lua_watch_close},
                                         {NULL, NULL}};
  luaL_newmetatable(L, WATCH_TYPE);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, functions);
  return 1;
}
