/*
** embed.h - what the files of vm/embed share: how C comes into the VM, and
** what the library's functions offer to each other.
*/
#ifndef NEAP_EMBED_H
#define NEAP_EMBED_H

#include <limits.h>

#include "../core/vm.h"

/* A function that is not inline where it is called: what is called often saves
   fewer registers without it. */
#define NEAP__APART __attribute__((noinline)) static
/* One that is, however long. */
#define NEAP__INLINE __attribute__((always_inline)) static inline
#define NEAP__LIKELY(x) __builtin_expect((x) != 0, 1)

/* {======================================================
** failure.c: errors, as neap_error tells them
** ======================================================= */

/* Remembers an error for neap_error; returns `code`. NULL: the text of the
   code. Copies; cannot fail (without memory the texts are the code's). */
int neap__fail(neap_vm *vm, int code, const char *message,
               const char *traceback) __attribute__((cold));
/* The same for the error at the top of L, popped, that a protected call has
   ended with; `status`: of lua_pcall. Runs no Lua. */
int neap__fail_lua(neap_vm *vm, lua_State *L, int status)
    __attribute__((cold));
/* The same for the task at the top, which stays: it has failed, was cancelled,
   or killed (`killed`: the code). */
int neap__fail_task(neap_vm *vm, lua_State *L, int killed);
void neap__failure_free(neap_vm *vm);

/* ====================================================== } */

/* {======================================================
** host.c: into the VM and out of it
** ======================================================= */

/* NEAP_OK on the VM's thread, before neap_close; else the error, which is not
   remembered: that would be a race. Every public function begins with it. */
static inline int neap__check(const neap_vm *vm) {
  if (!neap__is_here(vm))
    return NEAP_ETHREAD;
  return vm->closing ? NEAP_ECLOSED : NEAP_OK;
}

/* As lua_pcall, for C that runs no script: what is there to stop one, at its
   next call, waits for that. */
int neap__own_pcall(neap_vm *vm, lua_State *L, int nargs, int nresults);

/* Calls the C function with `args`, light userdata, as its one argument, by
   neap__own_pcall, on vm->running. NEAP_OK, or the error that it has raised,
   remembered: NEAP_ENOMEM, or what the VM was killed by meanwhile. What else
   goes wrong, the function notes in `args`. */
int neap__protect(neap_vm *vm, lua_CFunction f, void *args);

/* Sees to it that the VM's turns come when the host's loop runs, if it is the
   host who runs it. NEAP_OK, or an error, remembered. */
int neap__host_attach(neap_vm *vm);
static inline int neap__attach(neap_vm *vm) {
  return neap__has_hosts_loop(vm) ? neap__host_attach(vm) : NEAP_OK;
}

/* Around all that creates tasks or runs scripts: the VM is one that runs, so
   that tasks can be created. They nest. */
static inline void neap__enter(neap_vm *vm) {
  if (NEAP__LIKELY(vm->L == NULL)) {
    vm->L = vm->main;
    vm->entered = 1;
    vm->host_interrupted = 0;
  }
  else if (vm->entered > 0) /* not in a script's `run` */
    vm->entered++;
}
static inline void neap__leave(neap_vm *vm) {
  if (NEAP__LIKELY(vm->entered == 1)) {
    vm->entered = 0;
    vm->L = NULL;
    if (vm->plain == NULL) { /* else there is neither hook nor host's loop */
      neap__interrupt_leave(vm);
      neap__loop_kick(vm);
    }
  }
  else if (vm->entered > 1)
    vm->entered--;
}

/* Whether a call, or a task, may begin. An error, remembered. */
int neap__call_check(neap_vm *vm, double deadline);

/* Sees to it that there is room on the stack for so many arguments and results;
   a handler, the function, and what neap__fail_lua pushes. NEAP_OK, or an
   error, remembered. */
#define NEAP__CALL_ROOM 10
int neap__room_make(neap_vm *vm, lua_State *L, int nargs, int nresults);
static inline int neap__call_room(neap_vm *vm, lua_State *L, int nargs,
                                  int nresults) {
  size_t top = (size_t)lua_gettop(L); /* each frame has LUA_MINSTACK slots; */
  size_t values = (size_t)(unsigned)nargs + (unsigned)nresults; /* < 0: many */
  return top + values + NEAP__CALL_ROOM <= LUA_MINSTACK
             ? NEAP_OK
             : neap__room_make(vm, L, nargs, nresults);
}

/* vm.c: one thing fewer that neap_close waits for; when nothing is left, the
   VM is freed, and the host told. */
void neap__close_step(neap_vm *vm);

/* spawn.c: at the end */
void neap__spawned_free(neap_vm *vm);
/* drive.c: a turn on a loop that the host runs; what is ready in a VM that
   was killed. Neither raises. */
void neap__host_turn(neap_vm *vm);
void neap__ready_finish(neap_vm *vm);

/* ====================================================== } */

/* {======================================================
** value.c: values of Lua in C
**
** Borrowed strings and references stand on the shelf, a Lua thread that is
** only a stack; `ref` is minus their place there. Retained ones are in the
** registry, at the number `ref`.
** ======================================================= */

void neap__values_init(lua_State *L);

/* Pushes a value. Needs a free slot; may raise "not enough memory" for a
   string. False, with nothing pushed: it holds no longer. */
int neap__value_push(neap_vm *vm, lua_State *L, const neap_value *value);

/* Pushes a reference, or a string that Lua has, likewise. Raises nothing. */
int neap__reference_push(neap_vm *vm, lua_State *L, const neap_value *value);
/* Of one that is retained: its place alone, which for a string is not all. Any
   other: false. No value has the serial number of a place that is free. */
#define NEAP__FREE_PLACE UINT64_MAX
static inline int neap__retained_push(neap_vm *vm, lua_State *L,
                                      const neap_value *value) {
  uint64_t serial;
  if ((uint32_t)value->ref >= vm->retained_size)
    return 0;
  serial = vm->retained[value->ref];
  if (NEAP__LIKELY(serial == value->as.serial) ||
      (value->type == NEAP_STRING && serial != NEAP__FREE_PLACE)) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, value->ref);
    return 1;
  }
  return 0;
}

/* Pushes a value that is neither. False, with nothing pushed: it is. */
static inline int neap__plain_push(lua_State *L, const neap_value *value) {
  switch (__builtin_expect(value->type, NEAP_INTEGER)) {
  case NEAP_NIL:
    lua_pushnil(L);
    return 1;
  case NEAP_BOOLEAN:
    lua_pushboolean(L, value->as.boolean);
    return 1;
  case NEAP_INTEGER:
    lua_pushinteger(L, value->as.integer);
    return 1;
  case NEAP_NUMBER:
    lua_pushnumber(L, value->as.number);
    return 1;
  default:
    return 0;
  }
}

/* Pushes any value, and raises nothing; needs two free slots. NEAP_OK, or an
   error, remembered, with nothing pushed. */
int neap__kept_pass(neap_vm *vm, lua_State *L, const neap_value *value);
static inline int neap__value_pass(neap_vm *vm, lua_State *L,
                                   const neap_value *value) {
  return neap__plain_push(L, value) ? NEAP_OK : neap__kept_pass(vm, L, value);
}

/* Pushes a function and its arguments. Raises nothing. NEAP_OK, or an error,
   remembered, with nothing pushed. */
NEAP__INLINE int neap__call_push(neap_vm *vm, lua_State *L,
                                 const neap_value *function,
                                 const neap_value *args, int nargs) {
  int left, status;
  if (function->type != NEAP_FUNCTION ||
      !(neap__retained_push(vm, L, function) ||
        neap__reference_push(vm, L, function)))
    return neap__fail(vm, NEAP_EINVAL, "a function expected", NULL);
  for (left = nargs; left > 0; left--, args++) {
    status = neap__value_pass(vm, L, args);
    if (status != NEAP_OK) {
      lua_pop(L, nargs - left + 1);
      return status;
    }
  }
  return NEAP_OK;
}

/* Stores the value at the index in `*value`, which is borrowed. Needs a free
   slot. False: no room on the shelf; the value is nil. Raises nothing. */
int neap__kept_get(neap_vm *vm, lua_State *L, int index, neap_value *value);
static inline int neap__value_get(neap_vm *vm, lua_State *L, int index,
                                  neap_value *value) {
  if (!lua_isinteger(L, index))
    return neap__kept_get(vm, L, index, value);
  value->as.integer = lua_tointeger(L, index);
  value->type = NEAP_INTEGER;
  value->ref = 0;
  return 1;
}

/* The same for the pair at the top of L, popped, which takes four slots on the
   shelf even when it is plain. */
int neap__pair_pop(neap_vm *vm, lua_State *L, neap_value *key,
                   neap_value *value);
/* Where the pair that the shelf ends with begins, if its key is this one, and
   is what stands at the top of L; else where the shelf ends. */
int neap__pair_before(neap_vm *vm, lua_State *L, const neap_value *key);

/* access.c: sets the global of that path to the value at the top. False: the
   path is empty, or leads through something that is no table. May raise. */
int neap__global_set(lua_State *L, const char *path);

/* What a scope has borrowed is given back: a native function, a callback. */
static inline int neap__scope_open(const neap_vm *vm) { return vm->shelved; }
void neap__scope_clear(neap_vm *vm, int scope);
static inline void neap__scope_close(neap_vm *vm, int scope) {
  if (vm->shelved > scope)
    neap__scope_clear(vm, scope);
}
/* Whether something is being called there. */
int neap__has_frames(lua_State *L);
/* What was borrowed outside of all scopes, if this is outside: also no native
   function, called by way of Lua's own API, is below. */
static inline void neap__scope_reset(neap_vm *vm) {
  if (vm->shelved > 0 && vm->L == NULL && !neap__has_frames(vm->main))
    neap__scope_close(vm, 0);
}

/* ====================================================== } */

/* {======================================================
** native.c: functions in C; object.c: host objects
** ======================================================= */

/* One call of a native function. On the stack are its arguments, and above
   them its results: only when there are some need the arguments be counted. */
struct neap_frame {
  lua_State *L;
  neap_vm *vm;
  const char *name;   /* of the function */
  int before;         /* slots before the arguments: of a method, 1 */
  int nresults;
  int converted;      /* whether the last number asked for was one; here,
                         because neap_arg_convert then needs no stack */
  int lost;           /* a NEAP_E code: an argument, a result or the message
                         was lost; the call fails, whatever f returns. Else
                         NEAP_SUSPENDED when `suspension` is not NULL */
  neap_value message; /* of neap_fail; nil: none */
  struct neap__suspension *suspension; /* what the task will wait for */
  int scope;          /* what was borrowed before */
};

/* What a native function has begun and the task waits for: a promise, or
   offloaded work (promise.c). */
typedef struct neap__suspension {
  neap_wait wait;
  /* Lua, in the task: the results of the call. Called once after the wait,
     unless wait.cancel is. Raises errors. */
  int (*results)(lua_State *L, neap_vm *vm, struct neap__suspension *s);
} neap__suspension;

/* The call has not just given results: raises an error, or suspends. */
int neap__native_finish(neap_frame *frame, int status);

/* Lua: calls a native function, and does what its status says. `before`: slots
   before the arguments. Used by functions, methods, and `after`. */
static inline int neap__native_call(lua_State *L, neap_vm *vm,
                                    const char *name, int before,
                                    neap_function f, void *ud) {
  neap_frame frame;
  int status;
  frame.L = L;
  frame.vm = vm;
  frame.name = name;
  frame.before = before;
  frame.nresults = 0;
  frame.lost = NEAP_OK;
  frame.message.type = NEAP_NIL;
  frame.suspension = NULL;
  frame.scope = neap__scope_open(vm);
  status = f(&frame, ud);
  if (status == NEAP_OK && frame.lost == NEAP_OK) {
    neap__scope_close(frame.vm, frame.scope); /* `vm` is kept nowhere */
    return frame.nresults;
  }
  return neap__native_finish(&frame, status);
}
/* Replaces the function below the top and its name at the top by an async
   function. */
void neap__async_named(lua_State *L);

/* Whether the value is a host object, revoked or not. */
int neap__is_hosted(lua_State *L, int index);
/* The pointer of an object of the class; NULL for all else. */
void *neap__hosted_get(lua_State *L, int index, const neap_class *type);
/* Writes why there is none: "File expected, got nil", "this File is gone". */
void neap__hosted_fault(lua_State *L, int index, const neap_class *type,
                        char *buffer, size_t size);
/* The type of any value, for messages: "File", "Task", "table". Allocates
   nothing. */
const char *neap__type_name(lua_State *L, int index);

/* ====================================================== } */

/* {======================================================
** port.c: posts; promise.c: promises and offloaded work. See port.h, too
** ======================================================= */

/* The VM is about to close: who posts or settles from now on is told. What
   was posted and has not run is ready, to be disposed of. */
void neap__port_close(neap_vm *vm);

/* ====================================================== } */

/* {======================================================
** sandbox.c: capabilities; output.c: print
** ======================================================= */

/* Opens Lua's libraries: those of which something is granted. */
void neap__libraries_open(lua_State *L, unsigned capabilities);
/* Takes from the libraries that are open what is not granted, and puts
   bounded functions in place of some; nothing when all is granted. */
void neap__sandbox_open(lua_State *L, unsigned capabilities);
/* Replaces the functions of string, of table (bounded_string.c,
   bounded_table.c): in the tables that the globals hold now. */
void neap__bounded_string_open(lua_State *L);
void neap__bounded_table_open(lua_State *L);
/* Replaces print when it is not stdout's, or limited. */
void neap__output_open(lua_State *L);

/* ====================================================== } */

#endif
