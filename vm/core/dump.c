/*
** dump.c - who awaits whom: all unfinished tasks as a tree, for people.
**
** The roots are the tasks, and then the gathers, that nobody awaits;
** beneath a task stand the lines where its await chain stands, outermost
** first, so that the last one is where it waits, and then what it waits
** for; beneath a gather, its unfinished children. What has been shown is
** only named when it comes again; a circle of tasks is entered somewhere.
**
** The tree may be very deep, so this is a loop; all of it is linear in
** the tasks. The text is written in pieces of whole lines. A script's
** `write` may make tasks meanwhile, but none ends before it returns.
*/
#include <stdio.h>
#include <string.h>

#include "vm.h"

#define PIECE 8000   /* bytes of text written at once */
#define LONGEST 1000 /* bytes of a line; a name may be anything */
#define DEEPEST 30   /* levels that are indented */

/* Stack of neap__dump: the file or nil; depth at which a future was shown;
   the futures from the root to here, each with its number of children that
   were looked at. Keys and futures are light userdata. */
enum { FILE_ = 1, SHOWN, PATH };

typedef struct dump {
  neap_vm *vm;
  lua_State *L;
  size_t used; /* of `text` */
  char text[PIECE];
} dump;

typedef enum state {
  RUNNING,
  READY,
  NOT_STARTED,
  SLEEPING,
  WAITING,
  STATES
} state;

static const char *const state_names[STATES] = {
    "running", "ready", "not started", "sleeping", "waiting"};

static state state_of(const neap_vm *vm, const neap__task *task) {
  if (task == vm->current)
    return RUNNING;
  if (task->in_c ? !neap__wait_is_over(task)
                 : neap__is_waitlist(task->waiting_on))
    return WAITING;
  if (task->timer.position != 0)
    return SLEEPING;
  if (!task->in_c && task->waiting_on != NULL && !task->interrupted &&
      task->waiting_on->state == NEAP__PENDING)
    return WAITING;
  return task->thread == NULL ? NOT_STARTED : READY;
}

/* {======================================================
** Text
** ======================================================= */

static void flush(dump *d) {
  lua_State *L = d->L;
  size_t len = d->used;
  d->used = 0;
  if (len == 0)
    return;
  if (lua_isnil(L, FILE_)) {
    d->text[--len] = '\0'; /* was the end of the last line */
    neap__report_text(d->vm, d->text, len);
    return;
  }
  lua_getfield(L, FILE_, "write");
  lua_pushvalue(L, FILE_);
  lua_pushlstring(L, d->text, len);
  lua_call(L, 2, 2);
  if (!lua_toboolean(L, -2) && lua_isstring(L, -1)) /* nil, message */
    luaL_error(L, "dump: %s", lua_tostring(L, -1));
  lua_pop(L, 2);
}

static void add(dump *d, lua_Integer depth, const char *s, size_t len) {
  size_t indent = 2 * (size_t)(depth < DEEPEST ? depth : DEEPEST);
  if (len > LONGEST)
    len = LONGEST;
  if (d->used + indent + len + 1 > PIECE)
    flush(d);
  memset(d->text + d->used, ' ', indent);
  d->used += indent;
  memcpy(d->text + d->used, s, len);
  d->used += len;
  d->text[d->used++] = '\n';
}

/* Adds the line at the top of the stack, and pops it. */
static void add_line(dump *d, lua_Integer depth) {
  size_t len;
  const char *s = lua_tolstring(d->L, -1, &len);
  add(d, depth, s, len);
  lua_pop(d->L, 1);
}

/* Adds how many tasks there are, and in which states. */
static void add_title(dump *d) {
  lua_State *L = d->L;
  int counts[STATES] = {0}, total = 0, i;
  const char *separator = ": ";
  neap__task *task;
  for (task = d->vm->tasks; task != NULL; task = task->next) {
    counts[state_of(d->vm, task)]++;
    total++;
  }
  lua_pushfstring(L, "%d unfinished task%s", total, total == 1 ? "" : "s");
  for (i = 0; i < STATES; i++) {
    if (counts[i] == 0)
      continue;
    lua_pushfstring(L, "%s%d %s", separator, counts[i], state_names[i]);
    lua_concat(L, 2);
    separator = ", ";
  }
  add_line(d, 0);
}

/* ====================================================== } */

/* {======================================================
** One thing that is awaited
** ======================================================= */

/* Adds the lines of the task at the top of the stack, outermost first. */
static void add_frames(dump *d, lua_Integer depth) {
  lua_State *L = d->L;
  const char *text, *s, *end;
  size_t len;
  neap__task_frames(L, -1);
  text = lua_tolstring(L, -1, &len);
  end = text + len;
  for (s = end - 2; s >= text; s--) { /* each begins with "\n\t" */
    if (s[0] == '\n' && s[1] == '\t') {
      add(d, depth, s + 2, (size_t)(end - s - 2));
      end = s;
    }
  }
  lua_pop(L, 1);
  if (len == 0) { /* not started, or nothing but a sleep */
    neap__task_coroutine(L, -1);
    add_line(d, depth);
  }
}

static void add_task(dump *d, neap__task *task, lua_Integer depth,
                     const char *verb) {
  lua_State *L = d->L;
  state s = state_of(d->vm, task);
  neap__task_push(L, task);
  neap__task_label(L, -1);
  neap__created_push(L, -2, ", ");
  lua_pushfstring(L, "%s%s %s%s%s", verb, lua_tostring(L, -2), state_names[s],
                  task->cancel_requests > 0 ? ", cancelling" : "",
                  lua_tostring(L, -1));
  lua_replace(L, -3);
  lua_pop(L, 1);
  add_line(d, depth);
  add_frames(d, depth + 1);
  lua_pop(L, 1);
  if (s == WAITING && task->in_c) {
    lua_pushfstring(L, "awaits %s", neap__wait_what(task->wait));
    add_line(d, depth + 1);
  }
  else if (s == SLEEPING) {
    char text[64];
    uint64_t now = uv_hrtime();
    uint64_t due = neap__timer_deadline(d->vm, &task->timer);
    int len = snprintf(text, sizeof text, "awaits sleep, %.3f s left",
                       due > now ? (double)(due - now) / 1e9 : 0.0);
    add(d, depth + 1, text, (size_t)len);
  }
}

static void add_gather(dump *d, const neap__gather *g, lua_Integer depth,
                       const char *verb) {
  lua_pushfstring(d->L, "%sgather%s, %d of %d done", verb,
                  depth == 0 ? " that nobody awaits" : "", (int)g->finished,
                  (int)g->count);
  add_line(d, depth);
}

/* Adds what was shown at `before`, by name. */
static void add_again(dump *d, neap__future *f, lua_Integer depth,
                      const char *verb, lua_Integer before) {
  lua_State *L = d->L;
  int circle;
  lua_rawgeti(L, PATH, 2 * before + 1);
  circle = before < depth && lua_touserdata(L, -1) == f;
  lua_pop(L, 1);
  if (f->type->kind == NEAP__TASK) {
    neap__task_push(L, (neap__task *)f);
    neap__task_label(L, -1);
    lua_replace(L, -2);
  }
  else
    lua_pushliteral(L, "gather");
  lua_pushfstring(L, "%s%s (%s)", verb, lua_tostring(L, -1),
                  circle ? "a circle: shown above" : "shown above");
  lua_replace(L, -2);
  add_line(d, depth);
}

/* Adds what stands at this depth, after a verb. Returns whether there may
   be something beneath it. */
static int add_future(dump *d, neap__future *f, lua_Integer depth,
                      const char *verb) {
  lua_State *L = d->L;
  if (f->type->kind == NEAP__FUTURE) {
    const char *what =
        neap__is_waitlist(f) ? ((neap__waitlist *)f)->what : "Future";
    lua_pushfstring(L, "%s%s %p", verb, what, (void *)f);
    add_line(d, depth);
    return 0;
  }
  if (lua_rawgetp(L, SHOWN, f) != LUA_TNIL) {
    add_again(d, f, depth, verb, lua_tointeger(L, -1));
    lua_pop(L, 1);
    return 0;
  }
  lua_pop(L, 1);
  lua_pushinteger(L, depth);
  lua_rawsetp(L, SHOWN, f);
  if (f->type->kind == NEAP__TASK)
    add_task(d, (neap__task *)f, depth, verb);
  else
    add_gather(d, (neap__gather *)f, depth, verb);
  return 1;
}

/* ====================================================== } */

/* {======================================================
** The tree
** ======================================================= */

/* The next thing that f waits for, from *i on; NULL: no more. */
static neap__future *next_child(const neap_vm *vm, neap__future *f,
                                lua_Integer *i) {
  if (f->type->kind == NEAP__TASK) {
    neap__task *task = (neap__task *)f;
    return (*i)++ == 0 && !task->in_c && state_of(vm, task) == WAITING
               ? task->waiting_on
               : NULL;
  }
  else {
    neap__gather *g = (neap__gather *)f;
    while (*i < (lua_Integer)g->count) {
      neap__future *child = g->children[(*i)++].future;
      if (child->state == NEAP__PENDING)
        return child;
    }
    return NULL;
  }
}

/* Puts a future on the path. */
static void enter(lua_State *L, neap__future *f, lua_Integer depth) {
  lua_pushlightuserdata(L, f);
  lua_rawseti(L, PATH, 2 * depth + 1);
  lua_pushinteger(L, 0);
  lua_rawseti(L, PATH, 2 * depth + 2);
}

/* Adds a root and all beneath it, unless it has been shown. */
static void add_tree(dump *d, neap__future *root) {
  lua_State *L = d->L;
  lua_Integer depth = 0, i;
  int shown = lua_rawgetp(L, SHOWN, root) != LUA_TNIL;
  lua_pop(L, 1);
  if (shown)
    return;
  (void)add_future(d, root, 0, "");
  enter(L, root, 0);
  while (depth >= 0) {
    neap__future *f, *child;
    lua_rawgeti(L, PATH, 2 * depth + 1);
    lua_rawgeti(L, PATH, 2 * depth + 2);
    f = (neap__future *)lua_touserdata(L, -2);
    i = lua_tointeger(L, -1);
    lua_pop(L, 2);
    child = next_child(d->vm, f, &i);
    lua_pushinteger(L, i);
    lua_rawseti(L, PATH, 2 * depth + 2);
    if (child == NULL)
      depth--;
    else if (add_future(d, child, depth + 1,
                        f->type->kind == NEAP__TASK ? "awaits " : ""))
      enter(L, child, ++depth);
  }
}

/* Whether a task or gather waits for it. */
static int is_awaited(const neap__future *f) {
  const neap__job *job = f->waiters.last;
  if (job == NULL)
    return 0;
  do {
    if (neap__is_task_job(job) || neap__is_gather_job(job))
      return 1;
    job = job->next;
  } while (job != f->waiters.last);
  return 0;
}

/* Raises a usage error unless there is no file, or one to write to. */
static void check_file(lua_State *L) {
  int type = lua_type(L, FILE_), ok = type == LUA_TNIL;
  if (type == LUA_TTABLE || type == LUA_TUSERDATA) {
    ok = lua_getfield(L, FILE_, "write") != LUA_TNIL;
    lua_pop(L, 1);
  }
  if (!ok)
    neap__usage(L, 1, "dump: a file, or an object with a method write, "
                      "expected, got %s", neap__describe(L, FILE_));
}

/* Lua: asyncio.dump([file]) */
int neap__dump(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  neap__task *task;
  neap__gather *g;
  dump d;
  lua_settop(L, FILE_);
  check_file(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_newtable(L); /* SHOWN */
  lua_newtable(L); /* PATH */
  d.vm = vm;
  d.L = L;
  d.used = 0;
  add_title(&d);
  for (task = vm->tasks; task != NULL; task = task->next) {
    if (!is_awaited(&task->future))
      add_tree(&d, &task->future);
  }
  for (g = vm->gathers; g != NULL; g = g->next) {
    if (!is_awaited(&g->future))
      add_tree(&d, &g->future);
  }
  for (task = vm->tasks; task != NULL; task = task->next)
    add_tree(&d, &task->future); /* in circles */
  flush(&d);
  return 0;
}

/* ====================================================== } */

void neap__dump_requested(neap_vm *vm, lua_State *L) {
  static const char failed[] = "dump: not enough memory";
  vm->dump_requested = 0;
  lua_pushcfunction(L, neap__dump);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK && !neap__error_drop(L))
    neap__report_text(vm, failed, sizeof failed - 1);
}
