/*
** evaluate.c - runs what was typed, as a task.
**
** The chunk is called by a C function in a task of the VM's (neap_spawn),
** which leaves the outcome in the registry. Each evaluation has a number: the
** outcome of one that was left behind is only reported, if it is an error.
*/
#include "evaluate.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "tasks.h"
#include "turn.h"

#define MOST_INTERRUPTS 3 /* the last one leaves the task behind */
#define RESERVE 1000000 /* bytes that a script leaves to read the next line,
                           which may free what it has taken */

/* Keys in the registry: their addresses. */
static const char chunk_key; /* the chunk to run */
static const char outcome_key; /* a list: what it gave, or its error */
static const char cancelled_key; /* the class CancelledError */

typedef struct evaluation {
  neap__runner *runner;
  lua_Integer number; /* of that which runs */
  int status;         /* how it has ended, */
  int cancelled;      /* with an error of that class? */
  int task_status;    /* how its task has: an error, without an outcome */
} evaluation;

static evaluation now;
static neap_value in_task; /* `evaluate`, for neap_spawn */

/* What is typed runs in a task: there run(main()) awaits main(). */
static const char define_run[] =
  "local asyncio = ...\n"
  "local current_task, await, stock = asyncio.current_task, asyncio.await, "
  "asyncio.run\n"
  "local iscoroutine = asyncio.iscoroutine\n"
  "function asyncio.run(coro, ...)\n"
  "  if current_task() and iscoroutine(coro) then return await(coro) end\n"
  "  return stock(coro, ...)\n"
  "end\n"
  "if run == stock then run = asyncio.run end\n"
  "return asyncio.CancelledError";

/* Whether the value at the top is what a cancellation raises. */
static int is_cancelled(lua_State *L) {
  int is;
  if (!lua_getmetatable(L, -1))
    return 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &cancelled_key);
  is = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return is;
}

/* Pushes the text at the top without the functions of a command, which stand
   last in its traceback; nor has an error of the command itself one. */
static void push_without_command(lua_State *L) {
  static const char raised[] = "\nstack traceback:\n\t[C]: in function 'error'";
  const size_t size = sizeof raised - 1;
  const char *text = lua_tostring(L, -1), *end = strstr(text, "\n\t[repl/");
  if (end == NULL)
    return;
  if ((size_t)(end - text) >= size && memcmp(end - size, raised, size) == 0)
    end -= size;
  lua_pushlstring(L, text, (size_t)(end - text));
}

/* The message handler: keeps the text, as its upvalue. The error stays what it
   is for the scopes that it closes (asyncio.timeout); but without the editor
   all is as lua shows it, down to the C function that calls the chunk. */
static int with_traceback(lua_State *L) {
  int is_text = lua_isstring(L, 1);
  const char *text;
  lua_pushvalue(L, 1);
  (void)neap_traceback(L);
  lua_copy(L, -1, 2);
  lua_settop(L, 2);
  text = lua_tostring(L, 2);
  if (text != NULL && now.runner->edits) {
    push_without_command(L);
  } else if (text != NULL && strstr(text, "\nstack traceback:\n") != NULL) {
    lua_pushliteral(L, "\n\t[C]: in ?");
    lua_concat(L, 2);
  }
  lua_copy(L, -1, lua_upvalueindex(1));
  if (now.runner->edits || !is_text)
    lua_settop(L, 1);
  return 1;
}

enum { NUMBER = 1, HANDLER }; /* stack of `evaluate` */

/* The chunk has ended; what it left stands above the handler. */
static int finish(lua_State *L, int status, lua_KContext ctx) {
  int i, n = lua_gettop(L) - HANDLER, cancelled = 0;
  (void)ctx;
  if (status == LUA_YIELD) /* it has awaited something */
    status = LUA_OK;
  if (status == LUA_ERRRUN) {
    cancelled = is_cancelled(L);
    lua_getupvalue(L, HANDLER, 1); /* its text */
    lua_replace(L, -2);
  }
  if (lua_tointeger(L, NUMBER) != now.number) {
    neap__chunk_report(now.runner, L, status);
    return 0;
  }
  luaL_checkstack(L, 2, "results");
  lua_createtable(L, n, 1);
  lua_replace(L, HANDLER);
  for (i = n; i > 0; i--)
    lua_rawseti(L, HANDLER, i);
  lua_pushinteger(L, n);
  lua_setfield(L, HANDLER, "n");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &outcome_key);
  now.status = status;
  now.cancelled = cancelled;
  return 0;
}

/* Lua, in a task: the evaluation's number */
static int evaluate(lua_State *L) {
  lua_pushnil(L);
  lua_pushcclosure(L, with_traceback, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &chunk_key);
  return finish(L, lua_pcallk(L, 0, LUA_MULTRET, HANDLER, 0, finish), 0);
}

/* The task has ended. */
static void over(void *number, neap_vm *vm, int status,
                 const neap_value *results, int nresults) {
  (void)vm;
  (void)results;
  (void)nresults;
  if ((intptr_t)number == (intptr_t)now.number)
    now.task_status = status;
}

/* neap.h takes values of Lua's by the name of a global: for a moment it is
   one, which no metamethod of a script's sees. */
static int prepare(neap__runner *runner, lua_State *L) {
  static const char name[] = "neap evaluate";
  int status, top = lua_gettop(L);
  if (now.runner == runner)
    return NEAP_OK;
  status = luaL_loadbuffer(L, define_run, sizeof define_run - 1, "=run");
  neap__tasks_push_asyncio(L);
  if (status == LUA_OK && lua_pcall(L, 1, 1, 0) == LUA_OK)
    lua_rawsetp(L, LUA_REGISTRYINDEX, &cancelled_key);
  lua_settop(L, top); /* a script has done away with what it needs? */
  lua_pushglobaltable(L);
  lua_pushstring(L, name);
  lua_pushcfunction(L, evaluate);
  lua_rawset(L, -3);
  status = neap_get(runner->vm, name, &in_task);
  if (status == NEAP_OK)
    status = neap_retain(runner->vm, &in_task);
  lua_pushstring(L, name);
  lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  if (status == NEAP_OK)
    now.runner = runner;
  return status;
}

/* Without a loop, which is opened here, the task would wait for ever. */
int neap__evaluate_start(neap__runner *runner, lua_State *L, neap_task *task) {
  neap_value number;
  int status = prepare(runner, L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &chunk_key);
  number = neap_integer(++now.number);
  now.status = LUA_ERRRUN;
  now.cancelled = 0;
  now.task_status = NEAP_OK;
  if (status == NEAP_OK && neap_backend_fd(runner->vm) < 0)
    status = NEAP_ELOOP;
  if (status == NEAP_OK)
    status = neap_spawn(runner->vm, &in_task, &number, 1, 0, over,
                        (void *)(intptr_t)now.number, task);
  return status;
}

/* Pushes what the task has left behind. */
static void push_outcome(lua_State *L) {
  int i, n, list;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &outcome_key) != LUA_TTABLE) {
    lua_pop(L, 1);
    now.cancelled = now.task_status == NEAP_ECANCELED; /* before it began */
    lua_pushstring(L, neap_strerror(now.task_status));
    return;
  }
  list = lua_gettop(L);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &outcome_key);
  lua_getfield(L, list, "n");
  n = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  luaL_checkstack(L, n, "too many results");
  for (i = 1; i <= n; i++)
    lua_rawgeti(L, list, i);
  lua_remove(L, list);
}

int neap__evaluate(neap__runner *runner, lua_State *L) {
  neap_task task;
  int interrupts = 0, started = neap__evaluate_start(runner, L, &task);
  void *volatile reserve; /* else compilers leave it out */
  if (started != NEAP_OK) {
    lua_pushstring(L, neap_strerror(started));
    return LUA_ERRRUN;
  }
  reserve = malloc(RESERVE);
  while (neap_pending(runner->vm, task) && !runner->exits) {
    int event = neap__turn(runner, -1, -1);
    if (event == SIGINT) {
      neap__tasks_interrupted(L);
      if (++interrupts == MOST_INTERRUPTS)
        break;
      (void)neap_cancel(runner->vm, task, NULL); /* it may have ended */
    } else if (event == SIGTERM || event == SIGHUP) {
      runner->signal = event;
      break;
    }
  }
  free(reserve);
  neap__turn_forget(); /* it came too late */
  if (neap_pending(runner->vm, task)) {
    now.number++; /* its outcome is nobody's */
    if (runner->signal == 0 && !runner->exits)
      neap__chunk_message(NULL, "it goes on in the background");
    return NEAP__LEFT;
  }
  push_outcome(L);
  if (interrupts > 0 && now.status != LUA_OK && now.cancelled) {
    lua_pop(L, 1);
    neap__chunk_message(NULL, "KeyboardInterrupt"); /* where: the user knows */
    return NEAP__LEFT;
  }
  return now.status;
}
