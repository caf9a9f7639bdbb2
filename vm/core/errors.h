/*
** errors.h - error objects, how they pass, and texts for people: error.c,
** error_class.c, protect.c, report.c, repr.c, dump.c. Included by vm.h.
*/
#ifndef NEAP_ERRORS_H
#define NEAP_ERRORS_H

#include "state.h"

/* bytes of a report in a sandbox */
#define NEAP__LONGEST_REPORT ((size_t)8000)

/* Pushes an object of the class, its message popped from the top. */
void neap__error_new(lua_State *L, const char *class_name);
/* Raises one, with a formatted message. */
int neap__error_raise(lua_State *L, const char *class_name, const char *format,
                      ...);
/* What the value at `index` is, as an error: a set of NEAP__IS flags. */
enum {
  NEAP__IS_EXCEPTION = 1, /* an object of a class under BaseException */
  NEAP__IS_PASSING = 2,   /* pcall lets it pass */
  NEAP__IS_CANCELLED = 4, /* a CancelledError */
  NEAP__IS_KEYBOARD = 8,  /* a KeyboardInterrupt */
  NEAP__IS_KILL = 16      /* no object: what ends killed code (limits.c) */
};
/* The value that is such a kill. */
static inline void neap__kill_push(lua_State *L) {
  lua_pushlightuserdata(L, neap__vm(L));
}
int neap__error_flags(lua_State *L, int index);
/* Whether the value at `index` is an error class. */
int neap__error_is_class(lua_State *L, int index);
/* Replaces the top value, an error as raised, by what asyncio hands out
   as a value: itself, or an Exception that wraps it, the same for the
   future at `index` every time. */
void neap__error_as_value(lua_State *L, int index);
/* Gives the object below the class at the top, popped, its class. Scripts
   can write into a class; but a finalizer could not be stopped, so in a
   sandbox there is none. */
void neap__error_set_class(lua_State *L);
/* Pushes the name of the class of the error object at `index`, and its
   message: whatever stands there. Runs no Lua. */
void neap__error_parts(lua_State *L, int index);
/* Adds the classes, and isinstance, to the module at the top. */
void neap__error_init(lua_State *L);

/* Raises the error at the top; all errors that pcall lets pass are raised
   by it. Lua: the protected calls, and error. protect.c */
int neap__throw(lua_State *L);
int neap__error(lua_State *L);
int neap__assert(lua_State *L);
int neap__pcall(lua_State *L);
int neap__catch(lua_State *L);
int neap__xpcall(lua_State *L);
int neap__load(lua_State *L);

/* Hands a text to the host, in a sandbox as far as its output may go. Runs no
   Lua. */
void neap__report_text(neap_vm *vm, const char *text, size_t len);
/* Hands the text at the top of the stack to the host and pops it. */
void neap__report(lua_State *L);
/* Pushes the text of an error value, without a traceback; `plain`: runs no
   Lua, so that an object tells its class and message, or its type. */
void neap__error_message(lua_State *L, int index, int plain);
/* Whether a script's own metamethods are not to be called by the core. */
static inline int neap__is_sandbox(const neap_vm *vm) {
  return vm->capabilities != NEAP_CAN_ALL;
}
/* Whether a script may have a say in the text of an error. */
int neap__calls_script(lua_State *L, int index);
/* Pushes a text for the error at `index` and its traceback (may be nil,
   at the top, popped), with those of the exceptions in a group. May run
   __tostring. */
void neap__error_text(lua_State *L, int index);
/* Pushes the traceback of a thread: async functions named, the loop's
   own frames left out. `from`: the first level. No title line. */
void neap__traceback(lua_State *L, lua_State *thread, int from);
/* Message handlers: keep the traceback for what follows the error. */
int neap__task_handler(lua_State *L);
int neap__callback_handler(lua_State *L);
/* Remembers that the error at the top (stays) was raised with the
   traceback below it (removed), until the next handler asks. */
void neap__raising(lua_State *L);
/* Lets the value at the top stand for the remembered error at `old` (its
   position was added). */
void neap__raising_replace(lua_State *L, int old);
/* Pushes the traceback that belongs to the error at the top, or nil. */
void neap__raised_traceback(lua_State *L);
/* Forgets error and traceback: the error was caught. */
void neap__raising_clear(lua_State *L);
/* Pushes the name of the C function at the top by which a module has it;
   pushes nothing and returns NULL when none does. */
const char *neap__library_name(lua_State *L);
/* How many levels the stack of a thread has. */
int neap__count_levels(lua_State *L);
/* Pushes "file:line" of the function at `level`, or nil. */
void neap__where(lua_State *L, int level);

/* Lua: tostring of objects; repr.c. */
int neap__coroutine_tostring(lua_State *L);
int neap__future_tostring(lua_State *L);
int neap__handle_tostring(lua_State *L);
/* Pushes "f() at file:line" for the callback at `index`, or "function at
   file:line" for one that no module has, and no global. */
void neap__callable_push(lua_State *L, int index);
/* Pushes a short text for any value: a string quoted and cut after `limit`
   bytes, an error object as its class and message. Runs no Lua. */
void neap__repr(lua_State *L, int index, size_t limit);
/* Lua: task:get_stack() */
int neap__task_get_stack(lua_State *L);
/* Each pushes a text about the task at `index`: */
/* "task 'name'" */
void neap__task_label(lua_State *L, int index);
/* "<f() running at file:line>" */
void neap__task_coroutine(lua_State *L, int index);
/* the lines of its traceback, innermost first, each after "\n\t" */
void neap__task_frames(lua_State *L, int index);
/* About the task or future at `index`: */
/* `before` and "created at file:line", or "" when that is not known; a
   plain future knows it in debug mode only */
void neap__created_push(lua_State *L, int index, const char *before);
/* ", awaited by task 'name'", or ""; takes as long as there are tasks */
void neap__awaiter_push(lua_State *L, int index);
/* tostring, the former if `created`, and the latter */
void neap__described_push(lua_State *L, int index, int created);

/* Lua: asyncio.dump([file]); dump.c */
int neap__dump(lua_State *L);
/* Makes the dump that neap_dump has asked for, on the Lua thread that runs;
   raises nothing. */
void neap__dump_requested(neap_vm *vm, lua_State *L);

#endif
