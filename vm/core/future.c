/*
** future.c - the state and outcome of futures, tasks and gathers.
**
** A future goes once from PENDING to FINISHED, FAILED or CANCELLED, in
** neap__future_settle. Its outcome is user value NEAP__RESULT: one result
** as it is, several in a table, or the error.
**
** What few futures have stands in a table made when needed, user value
** NEAP__EXTRA, with the fields: name and creator (of a task), created (of
** a plain future in debug mode: where it was made), cancel_message,
** callbacks (of a plain one: a set of handles), traceback (of the error),
** exception (the error as an object, when it was raised as something
** else), reporter (below). A task without that table has its creator, the
** function that made it, in its place.
*/
#include "vm.h"

void neap__extra_get(lua_State *L, int index, const char *field) {
  if (lua_getiuservalue(L, index, NEAP__EXTRA) == LUA_TTABLE)
    lua_getfield(L, -1, field);
  else
    lua_pushnil(L);
  lua_replace(L, -2);
}

void neap__creator_push(lua_State *L, int index) {
  if (lua_getiuservalue(L, index, NEAP__EXTRA) == LUA_TTABLE) {
    lua_getfield(L, -1, "creator");
    lua_replace(L, -2);
  }
}

void neap__extra_push(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (lua_getiuservalue(L, index, NEAP__EXTRA) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_newtable(L);
  if (lua_getiuservalue(L, index, NEAP__EXTRA) == LUA_TTABLE)
    lua_replace(L, -2); /* a finalizer was faster */
  else {
    lua_setfield(L, -2, "creator");
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, index, NEAP__EXTRA);
  }
}

void neap__extra_set(lua_State *L, int index, const char *field) {
  neap__extra_push(L, index);
  lua_insert(L, -2);
  lua_setfield(L, -2, field);
  lua_pop(L, 1);
}

void neap__result_set(lua_State *L, int index, neap__future *f, int n) {
  index = lua_absindex(L, index);
  if (n == 0)
    lua_pushnil(L); /* the slot may hold what the task awaited last */
  else if (n > 1) {
    int i, first = lua_gettop(L) - n + 1;
    lua_createtable(L, n, 0);
    lua_insert(L, first);
    for (i = n; i > 0; i--)
      lua_rawseti(L, first, i);
  }
  if (f->state != NEAP__PENDING) { /* a finalizer was faster */
    lua_pop(L, 1);
    return;
  }
  f->nresults = (uint32_t)n;
  lua_setiuservalue(L, index, NEAP__RESULT);
}

void neap__error_set(lua_State *L, int index) {
  lua_setiuservalue(L, index, NEAP__RESULT);
}

/*
** Lua: gives the future a reporter: an object whose finalizer, when
** both are collected, tells of an error that nobody has looked at. (Lua
** searches for an object that is given a finalizer among all objects made
** after it: a new one it finds at once, an old future it does not.)
*/
static int give_reporter(lua_State *L) {
  lua_newuserdatauv(L, 0, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  neap__ref_push(L, NEAP__REPORTER);
  lua_setmetatable(L, -2);
  neap__extra_set(L, 1, "reporter");
  return 0;
}

/* Without memory a script's `run` ends; under a host, whom each task's end is
   told, the future settles all the same. */
static void report_if_unseen(neap_vm *vm, lua_State *L, int index) {
  lua_pushcfunction(L, give_reporter);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK)
    return;
  if (vm->entered == 0)
    lua_error(L);
  lua_pop(L, 1);
}

void neap__future_settle(lua_State *L, int index, neap__future *f,
                         neap__state state) {
  neap_vm *vm = neap__vm(L);
  index = lua_absindex(L, index);
  if (state == NEAP__FAILED)
    report_if_unseen(vm, L, index);
  if (f->callbacks)
    neap__callbacks_anchor(L, index, f);
  if (f->state != NEAP__PENDING)
    return; /* a finalizer, run by what stands above, was faster */
  f->state = (uint8_t)state;
  f->observed = 0;
  neap__queue_splice(&vm->ready, &f->waiters);
}

/* {======================================================
** Outcome
** ======================================================= */

void neap__cancelled_push(lua_State *L, int index) {
  index = lua_absindex(L, index);
  neap__extra_get(L, index, "cancel_message");
  if (!lua_isnil(L, -1)) { /* the next one has its own, or none */
    lua_pushnil(L);
    neap__extra_set(L, index, "cancel_message");
  }
  neap__error_new(L, "CancelledError");
}

int neap__outcome_raise(lua_State *L, int index) {
  neap__future *f = (neap__future *)neap__known(L, index);
  index = lua_absindex(L, index);
  f->observed = 1;
  neap__extra_get(L, index, "traceback");
  if (lua_getiuservalue(L, index, NEAP__RESULT) == LUA_TNIL &&
      f->state == NEAP__CANCELLED) /* abandoned at the end of its run */
    neap__error_new(L, "CancelledError");
  neap__raising(L);
  return neap__throw(L);
}

int neap__outcome(lua_State *L, int index, const neap__future *f) {
  if (f->state != NEAP__FINISHED)
    return neap__outcome_raise(L, index);
  if (f->nresults == 0)
    return 0;
  lua_getiuservalue(L, index, NEAP__RESULT);
  if (f->nresults > 1) {
    int i, n = (int)f->nresults;
    luaL_checkstack(L, n, "too many results");
    for (i = 1; i <= n; i++)
      lua_rawgeti(L, -i, i);
    lua_remove(L, -n - 1);
  }
  return (int)f->nresults;
}

void neap__error_copy(lua_State *L, int from, int to) {
  from = lua_absindex(L, from);
  ((neap__future *)neap__known(L, from))->observed = 1;
  neap__extra_get(L, from, "traceback");
  if (lua_isnil(L, -1))
    lua_pop(L, 1);
  else
    neap__extra_set(L, to, "traceback");
  if (lua_getiuservalue(L, from, NEAP__RESULT) == LUA_TNIL &&
      ((neap__future *)neap__known(L, from))->state == NEAP__CANCELLED)
    neap__error_new(L, "CancelledError"); /* it was killed, without an error */
  neap__error_set(L, to);
}

/* Lua: copy_outcome(from, to): settles the pending Future `to` as `from`,
   which is done, was settled. For shield, which a script may have given
   something else by replacing what makes futures. */
int neap__outcome_copy(lua_State *L) {
  neap__future *from = neap__future_at(L, 1), *to = neap__future_at(L, 2);
  if (from == NULL || from->state == NEAP__PENDING || to == NULL ||
      to->type != &neap__future_type || to->state != NEAP__PENDING)
    return luaL_error(L, "shield: a done and a pending Future expected");
  lua_settop(L, 2);
  if (from->state == NEAP__FINISHED) {
    to->nresults = from->nresults;
    lua_getiuservalue(L, 1, NEAP__RESULT);
    lua_setiuservalue(L, 2, NEAP__RESULT);
  }
  else
    neap__error_copy(L, 1, 2);
  neap__future_settle(L, 2, to, (neap__state)from->state);
  return 0;
}

/* ====================================================== } */

/* {======================================================
** Methods of all futures
** ======================================================= */

neap__future *neap__future_check(lua_State *L) {
  neap__future *f = neap__future_at(L, 1);
  if (f == NULL)
    luaL_typeerror(L, 1, neap__future_type.name);
  return f;
}

/* Lua: f:done() */
static int future_done(lua_State *L) {
  lua_pushboolean(L, neap__future_check(L)->state != NEAP__PENDING);
  return 1;
}

/* Lua: f:cancelled() */
static int future_cancelled(lua_State *L) {
  lua_pushboolean(L, neap__future_check(L)->state == NEAP__CANCELLED);
  return 1;
}

static void check_done(lua_State *L, const neap__future *f, const char *what) {
  if (f->state == NEAP__PENDING)
    neap__error_raise(L, "InvalidStateError",
                      "%s is not set: the %s is not done; await it first",
                      what, f->type->name);
}

/* Lua: f:result() -> results; raises the error */
static int future_result(lua_State *L) {
  neap__future *f = neap__future_check(L);
  check_done(L, f, "the result");
  return neap__outcome(L, 1, f);
}

/* Lua: failure(f [, peek]) -> error object of a failed future, else nil. It
   counts as seen unless `peek`. For the library. */
int neap__future_failure(lua_State *L) {
  neap__future *f = neap__future_check(L);
  if (f->state != NEAP__FAILED)
    return 0;
  if (!lua_toboolean(L, 2))
    f->observed = 1;
  lua_getiuservalue(L, 1, NEAP__RESULT);
  neap__error_as_value(L, 1);
  return 1;
}

/* Lua: f:exception() -> error object or nil */
static int future_exception(lua_State *L) {
  neap__future *f = neap__future_check(L);
  check_done(L, f, "the exception");
  if (f->state == NEAP__CANCELLED)
    return neap__outcome_raise(L, 1);
  lua_settop(L, 1);
  if (neap__future_failure(L) == 0)
    lua_pushnil(L);
  return 1;
}

/* Lua: f:cancel([msg]) -> whether the request was taken */
static int future_cancel(lua_State *L) {
  neap__future_check(L);
  lua_settop(L, 2);
  lua_pushboolean(L, neap__cancel(L, 1));
  return 1;
}

/* Only plain futures are settled by scripts. */
static neap__future *check_settable(lua_State *L, const char *method) {
  neap__future *f = neap__future_check(L);
  if (f->type != &neap__future_type)
    neap__usage(L, 1, "%s: not possible on a %s: it settles by itself", method,
                f->type == &neap__task_type ? "Task" : "gather's Future");
  if (f->state != NEAP__PENDING)
    neap__error_raise(L, "InvalidStateError", "%s: the Future is done already",
                      method);
  return f;
}

/* Lua: f:set_result(...) */
static int future_set_result(lua_State *L) {
  neap__future *f = check_settable(L, "set_result");
  neap__result_set(L, 1, f, lua_gettop(L) - 1);
  neap__future_settle(L, 1, f, NEAP__FINISHED);
  return 0;
}

/* Lua: f:set_exception(err); an error class is called first */
static int future_set_exception(lua_State *L) {
  neap__future *f = check_settable(L, "set_exception");
  lua_settop(L, 2);
  if (neap__error_is_class(L, 2)) {
    lua_call(L, 0, 1);
    check_settable(L, "set_exception"); /* the class ran Lua */
  }
  neap__error_set(L, 1);
  neap__future_settle(L, 1, f, NEAP__FAILED);
  return 0;
}

/* Lua: asyncio.isfuture(value): whether it is a Task or Future */
int neap__isfuture(lua_State *L) {
  lua_pushboolean(L, neap__future_at(L, 1) != NULL);
  return 1;
}

/* Lua: asyncio.Future() */
int neap__future_make(lua_State *L) {
  neap__future *f =
      (neap__future *)lua_newuserdatauv(L, sizeof *f, NEAP__EXTRA);
  neap__future_prepare(f, &neap__future_type);
  neap__metatable_push(L, &neap__future_type);
  lua_setmetatable(L, -2);
  if (neap__vm(L)->debug) {
    neap__where(L, 1);
    neap__extra_set(L, -2, "created");
  }
  return 1;
}

void neap__future_prepare(neap__future *f, const neap__type *type) {
  f->type = type;
  f->waiters.last = NULL;
  f->state = NEAP__PENDING;
  f->observed = 0;
  f->callbacks = 0;
  f->nresults = 0;
}

/* Lua: the future; tells of its error, once. */
static int report_unseen(lua_State *L) {
  neap__future *f = (neap__future *)neap__known(L, 1);
  if (f->state != NEAP__FAILED || f->observed)
    return 0;
  f->observed = 1;
  neap__future_report(L, 1, f->type == &neap__task_type
                                ? "Task exception was never retrieved"
                                : "Future exception was never retrieved");
  return 0;
}

/*
** Lua: the finalizer of a reporter. What a script has to say on its error
** waits for the next turn, if there is one: nothing ends a finalizer that
** goes on for ever. Should the turn not come, the next reporter tells.
*/
static int reporter_gc(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  neap__future *f;
  lua_getiuservalue(L, 1, 1);
  lua_replace(L, 1);
  f = (neap__future *)neap__known(L, 1);
  lua_getiuservalue(L, 1, NEAP__RESULT);
  if (!neap__has_next_turn(vm) || f->observed || !neap__calls_script(L, -1)) {
    lua_settop(L, 1);
    return report_unseen(L);
  }
  give_reporter(L);
  lua_pushcfunction(L, report_unseen);
  neap__schedule(L, lua_gettop(L), 1);
  neap__loop_kick(vm);
  return 0;
}

void neap__future_report(lua_State *L, int index, const char *title) {
  index = lua_absindex(L, index);
  neap__extra_get(L, index, "traceback"); /* tells where it was created */
  neap__described_push(L, index, lua_isnil(L, -1));
  lua_getiuservalue(L, index, NEAP__RESULT);
  lua_rotate(L, -3, -1);
  neap__error_text(L, -2);
  lua_pushfstring(L, "%s\nfuture: %s\n%s", title, lua_tostring(L, -3),
                  lua_tostring(L, -1));
  neap__report(L);
  lua_pop(L, 3);
}

const luaL_Reg neap__future_methods[] = {
    {"done", future_done},
    {"cancelled", future_cancelled},
    {"result", future_result},
    {"exception", future_exception},
    {"cancel", future_cancel},
    {"set_result", future_set_result},
    {"set_exception", future_set_exception},
    {"add_done_callback", neap__add_done_callback},
    {"remove_done_callback", neap__remove_done_callback},
    {NULL, NULL}};

void neap__future_init(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__tostring", neap__future_tostring},
                                         {NULL, NULL}};
  neap__metatable_new(L, &neap__future_type, neap__future_methods, metamethods);
  neap__ref_set(L, NEAP__METATABLES + NEAP__GATHER); /* the same */
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, reporter_gc);
  lua_setfield(L, -2, "__gc");
  neap__ref_set(L, NEAP__REPORTER);
}

/* ====================================================== } */
