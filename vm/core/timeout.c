/*
** timeout.c - a block with a deadline.
**
**   do
**     local scope <close> = asyncio.timeout(1.5)
**     await(something())
**   end                          -- raises TimeoutError when it took longer
**
** At the deadline the scope cancels the task that entered it. On its way out
** it takes that request back; and if the CancelledError that leaves the block
** can only be its own, it raises TimeoutError instead.
*/
#include <math.h>
#include <stdio.h>

#include "vm.h"

enum { TASK = 1, HANDLE, FUTURE }; /* user values */

typedef enum state {
  ACTIVE,
  EXPIRING, /* the deadline has struck */
  FINISHED, /* the block was left before, */
  EXPIRED   /* or after it has */
} state;

static const char *const state_names[] = {"active", "expiring", "finished",
                                          "expired"};

typedef struct neap__timeout {
  const neap__type *type;
  neap__handle *handle; /* calls strike at the deadline, or has; or NULL */
  double deadline;      /* of asyncio.time; when `limited` */
  uint32_t cancelling;  /* requests that the task had when it entered */
  uint8_t state;
  uint8_t limited;
} neap__timeout;

static const neap__type timeout_type = {NEAP__TIMEOUT, "Timeout"};

/* The scope at index 1; raises a usage error of the method when it is none. */
static neap__timeout *check(lua_State *L, const char *method) {
  neap__timeout *t = (neap__timeout *)lua_touserdata(L, 1);
  if (t != NULL && lua_rawlen(L, 1) == sizeof *t &&
      t->type == &timeout_type)
    return t;
  lua_settop(L, 1);
  neap__usage(L, 1, "Timeout.%s: a timeout's scope expected, got %s; write "
                    "scope:%s()", method, neap__describe(L, 1), method);
  return NULL; /* not reached */
}

/* Whether there is a time at `index`, and which; raises a usage error of the
   function when it is neither a number nor nil. */
static int check_time(lua_State *L, int index, const char *function,
                      double *time) {
  if (lua_isnoneornil(L, index))
    return 0;
  if (lua_type(L, index) != LUA_TNUMBER)
    neap__usage(L, 1, "%s: a number of seconds or nil expected, got %s",
                function, neap__describe(L, index));
  *time = lua_tonumber(L, index);
  if (isnan(*time))
    neap__usage(L, 1, "%s: the time is not a number (NaN)", function);
  return 1;
}

/* Lua: the scope, at its deadline. A future that is awaited in the block and
   is done already goes first. */
static int strike(lua_State *L) {
  neap__timeout *t = (neap__timeout *)neap__known(L, 1);
  lua_getiuservalue(L, 1, FUTURE);
  if (!lua_isnil(L, -1) &&
      ((neap__future *)neap__known(L, -1))->state != NEAP__PENDING)
    return 0;
  t->state = EXPIRING;
  lua_getiuservalue(L, 1, TASK);
  lua_pushnil(L); /* without a message */
  (void)neap__cancel(L, -2); /* it may have ended */
  return 0;
}

/* Gives the scope at the top its deadline, in so many seconds. */
static void schedule(lua_State *L, neap__timeout *t, double deadline,
                     double delay) {
  neap__handle *h;
  lua_pushcfunction(L, strike);
  lua_pushvalue(L, -2);
  h = neap__handle_new(L, lua_gettop(L) - 1, 1);
  if (delay > 0)
    neap__handle_call_later(L, h, delay);
  else
    neap__handle_call_soon(L, h);
  lua_setiuservalue(L, -3, HANDLE);
  lua_pop(L, 1);
  t->handle = h;
  t->deadline = deadline;
  t->limited = 1;
}

/* Makes a scope without a deadline; pushes it. `future`: whether the future at
   index 2 goes first. */
static neap__timeout *enter(lua_State *L, const char *function, int future) {
  neap_vm *vm = neap__vm(L);
  neap__task *task = vm->current;
  neap__timeout *t;
  if (task == NULL) {
    neap__usage(L, 1, "%s: outside a task: write it in an async function that "
                      "run() started", function);
    return NULL; /* not reached */
  }
  t = (neap__timeout *)lua_newuserdatauv(L, sizeof *t, FUTURE);
  t->type = &timeout_type;
  t->handle = NULL;
  t->cancelling = task->cancel_requests;
  t->state = ACTIVE;
  t->limited = 0;
  neap__metatable_push(L, &timeout_type);
  lua_setmetatable(L, -2);
  neap__task_push(L, task);
  lua_setiuservalue(L, -2, TASK);
  if (future) {
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, FUTURE);
  }
  return t;
}

/* Lua: timeout(seconds) -> a scope whose deadline is so much later than now;
   nil: it has none. */
int neap__timeout_make(lua_State *L) {
  double delay;
  int limited = check_time(L, 1, "timeout", &delay);
  neap__timeout *t = enter(L, "timeout", 0);
  if (limited)
    schedule(L, t, neap__time() + delay, delay);
  return 1;
}

/* Lua: timeout_at(when) -> the same with a time of asyncio.time() */
int neap__timeout_at(lua_State *L) {
  double when;
  int limited = check_time(L, 1, "timeout_at", &when);
  neap__timeout *t = enter(L, "timeout_at", 0);
  if (limited)
    schedule(L, t, when, when - neap__time());
  return 1;
}

/* Lua: timeout_of(seconds, awaitable) -> the scope of wait_for: when that is a
   future which is done at the deadline, that does not strike. */
int neap__timeout_of(lua_State *L) {
  double delay = luaL_checknumber(L, 1);
  neap__timeout *t = enter(L, "wait_for", neap__future_at(L, 2) != NULL);
  schedule(L, t, neap__time() + delay, delay);
  return 1;
}

/* Its deadline, if there is one, does not strike. */
static void stop(lua_State *L, neap__timeout *t) {
  if (t->handle != NULL)
    neap__handle_cancel(neap__vm(L), t->handle);
}

/* Lua: the __close of a scope */
static int timeout_close(lua_State *L) {
  neap__timeout *t = check(L, "__close");
  neap__task *task;
  if (t->state == FINISHED || t->state == EXPIRED) {
    if (lua_isnoneornil(L, 2))
      return neap__usage(L, 1, "timeout: this scope's block was left before");
    return 0;
  }
  stop(L, t);
  if (t->state == ACTIVE) {
    t->state = FINISHED;
    return 0;
  }
  t->state = EXPIRED;
  lua_getiuservalue(L, 1, TASK);
  task = (neap__task *)neap__known(L, -1);
  if (neap__uncancel(task) <= t->cancelling &&
      (neap__error_flags(L, 2) & NEAP__IS_CANCELLED)) {
    lua_pushnil(L); /* without a message */
    neap__error_new(L, "TimeoutError");
    return lua_error(L);
  }
  return 0;
}

/* Lua: scope:when() -> the deadline on the clock of asyncio.time(), or nil */
static int timeout_when(lua_State *L) {
  const neap__timeout *t = check(L, "when");
  if (t->limited)
    lua_pushnumber(L, t->deadline);
  else
    lua_pushnil(L);
  return 1;
}

/* Lua: scope:expired() -> whether the deadline has struck in the block */
static int timeout_expired(lua_State *L) {
  const neap__timeout *t = check(L, "expired");
  lua_pushboolean(L, t->state == EXPIRING || t->state == EXPIRED);
  return 1;
}

/* Lua: scope:reschedule(when): moves the deadline; nil takes it away. Usage
   error when it has struck or the block was left. */
static int timeout_reschedule(lua_State *L) {
  neap__timeout *t = check(L, "reschedule");
  double when;
  int limited = check_time(L, 2, "Timeout.reschedule", &when);
  if (t->state != ACTIVE)
    return neap__usage(L, 1, "Timeout.reschedule: a timeout that is %s has no "
                             "deadline to move", state_names[t->state]);
  stop(L, t);
  t->limited = 0;
  lua_settop(L, 1);
  if (limited)
    schedule(L, t, when, when - neap__time());
  return 0;
}

static int timeout_tostring(lua_State *L) {
  const neap__timeout *t = check(L, "__tostring");
  char when[40] = "nil";
  if (t->limited)
    (void)snprintf(when, sizeof when, "%.14g",
                   floor(t->deadline * 1000 + 0.5) / 1000);
  if (t->state == ACTIVE)
    lua_pushfstring(L, "<Timeout [active] when=%s>", when);
  else
    lua_pushfstring(L, "<Timeout [%s]>", state_names[t->state]);
  return 1;
}

void neap__timeout_init(lua_State *L) {
  static const luaL_Reg methods[] = {{"when", timeout_when},
                                     {"expired", timeout_expired},
                                     {"reschedule", timeout_reschedule},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__close", timeout_close},
                                         {"__tostring", timeout_tostring},
                                         {NULL, NULL}};
  neap__metatable_new(L, &timeout_type, methods, metamethods);
  lua_pop(L, 1);
}
