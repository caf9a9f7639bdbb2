/*
** native.c - native functions: C for scripts (neap.h).
**
** The frame of a call lives on the C stack, its arguments and results on
** Lua's. The host's function may be C++: no error of Lua passes it. What can
** run out of memory is protected (making a string), the rest raises nothing;
** the error of a call is raised when its function has returned. Who has a
** frame is inside its call, so these functions do not ask for the thread.
*/
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "embed.h"

#define LONGEST_MESSAGE 500 /* of neap_fail */
#define SPARE 4 /* free slots on the stack, to look at values */
#define ROOM (LUA_MINSTACK - SPARE) /* for results, which Lua has made */

/* An index that is valid, and at which there is no value. */
#define NOWHERE lua_upvalueindex(256)

/* {======================================================
** The call
** ======================================================= */

/* One native function, in an upvalue of its closure. */
typedef struct native {
  neap_function f;
  void *ud;
  char name[];
} native;

/* What was begun is over; the task goes on. */
static int resumed(lua_State *L, int status, lua_KContext ctx) {
  neap__suspension *s = (neap__suspension *)ctx;
  (void)status;
  return s->results(L, neap__vm(L), s);
}

/* The text of an error; at the top is the message of neap_fail, or nil. */
static const char *text_of(neap_frame *frame, int status) {
  neap_error_info info;
  if (status >= 0)
    return lua_pushfstring(frame->L,
                           "'%s' has to return NEAP_SUSPENDED when it has "
                           "opened a promise, and only then", frame->name);
  if (status == NEAP_ESCRIPT && lua_isstring(frame->L, -1))
    return lua_tostring(frame->L, -1);
  neap_error(frame->vm, &info);
  if (status == NEAP_ESCRIPT && info.code == NEAP_ESCRIPT)
    return info.message; /* of what the function has called */
  return neap_strerror(status);
}

/*
** A function that has killed its own call meets the hook at the next
** instruction of Lua; if it suspends, there is none.
*/
int neap__native_finish(neap_frame *frame, int status) {
  lua_State *L = frame->L;
  neap_vm *vm = frame->vm;
  neap__suspension *s = frame->suspension;
  lua_pop(L, frame->nresults); /* these are none */
  (void)neap__value_push(vm, L, &frame->message); /* it is borrowed, or nil */
  neap__scope_close(vm, frame->scope);
  if (frame->lost < 0)
    status = frame->lost;
  if (status == NEAP_SUSPENDED && s != NULL && neap__limits_reached(vm) == 0) {
    lua_pop(L, 1);
    return neap_suspend(L, &s->wait, HUGE_VAL, (lua_KContext)s, resumed);
  }
  if (s != NULL) /* nobody will wait for it */
    s->wait.cancel(&s->wait);
  neap__checkpoint(L);
  return neap__usage(L, 1, "%s", text_of(frame, status));
}

static int call(lua_State *L) {
  const native *n = (native *)lua_touserdata(L, lua_upvalueindex(1));
  return neap__native_call(L, neap__vm(L), n->name, 0, n->f, n->ud);
}

/* ====================================================== } */

/* {======================================================
** Making functions
** ======================================================= */

/* A function to be made. */
typedef struct making {
  neap_vm *vm;
  const char *name;
  neap_function f;
  void *ud;
  int global, async;
  neap_value function; /* unless it is a global */
  int status;
} making;

void neap__async_named(lua_State *L) {
  lua_pushcfunction(L, neap__async);
  lua_pushnil(L); /* for the table `async` */
  lua_rotate(L, -4, 2);
  lua_call(L, 3, 1);
}

static int make(lua_State *L) {
  making *m = (making *)lua_touserdata(L, 1);
  size_t size = strlen(m->name) + 1;
  native *n = (native *)lua_newuserdatauv(L, sizeof *n + size, 0);
  n->f = m->f;
  n->ud = m->ud;
  memcpy(n->name, m->name, size);
  lua_pushlightuserdata(L, n); /* which is read faster */
  lua_insert(L, -2);
  lua_pushcclosure(L, call, 2);
  if (m->async) {
    lua_pushstring(L, m->name);
    neap__async_named(L);
  }
  if (!m->global)
    m->status = neap__value_get(m->vm, L, -1, &m->function) ? NEAP_OK
                                                            : NEAP_ENOMEM;
  else
    m->status = neap__global_set(L, m->name) ? NEAP_OK : NEAP_EINVAL;
  return 0;
}

static int run(making *m) {
  int status = neap__check(m->vm);
  if (status == NEAP_OK && m->f == NULL)
    m->status = NEAP_EINVAL;
  else if (status == NEAP_OK)
    status = neap__protect(m->vm, make, m);
  if (status == NEAP_OK && m->status != NEAP_OK)
    status = neap__fail(m->vm, m->status, NULL, NULL);
  return status;
}

NEAP_API int neap_register(neap_vm *vm, const char *path, neap_function f,
                           void *ud) {
  making m = {.vm = vm, .name = path, .f = f, .ud = ud, .global = 1};
  return run(&m);
}

NEAP_API int neap_register_async(neap_vm *vm, const char *path,
                                 neap_function f, void *ud) {
  making m = {
      .vm = vm, .name = path, .f = f, .ud = ud, .global = 1, .async = 1};
  return run(&m);
}

NEAP_API int neap_function_new(neap_vm *vm, const char *name, neap_function f,
                               void *ud, neap_value *function) {
  making m = {.vm = vm, .name = name, .f = f, .ud = ud};
  int status = run(&m);
  *function = m.function;
  return status;
}

/* ====================================================== } */

/* {======================================================
** Arguments
** ======================================================= */

NEAP_API neap_vm *neap_frame_vm(neap_frame *frame) { return frame->vm; }

NEAP_API int neap_arg_count(neap_frame *frame) {
  return lua_gettop(frame->L) - frame->nresults - frame->before;
}

NEAP__APART int index_counted(neap_frame *frame, int i) {
  return i >= 1 && i <= neap_arg_count(frame) ? frame->before + i : NOWHERE;
}

/* A free slot is as good as nowhere, until there are results. */
static int index_of(neap_frame *frame, int i) {
  return NEAP__LIKELY((unsigned)i - 1 < ROOM && frame->nresults == 0)
             ? frame->before + i
             : index_counted(frame, i);
}

NEAP_API neap_value neap_arg(neap_frame *frame, int i) {
  neap_value value = neap_nil();
  if (!neap__value_get(frame->vm, frame->L, index_of(frame, i), &value))
    frame->lost = NEAP_ENOMEM;
  return value;
}

/* The argument is not what was asked for; the words are those of Lua. */
static int bad_argument(neap_frame *frame, int i, const char *fault) {
  return neap_fail(frame, "bad argument #%d to '%s' (%s)", i, frame->name,
                   fault);
}

static int expected(neap_frame *frame, int i, const char *type) {
  char fault[256];
  snprintf(fault, sizeof fault, "%s expected, got %s", type,
           neap__type_name(frame->L, index_of(frame, i)));
  return bad_argument(frame, i, fault);
}

NEAP__APART int expected_integer(neap_frame *frame, int i) {
  if (lua_isnumber(frame->L, index_of(frame, i)))
    return bad_argument(frame, i, "number has no integer representation");
  return expected(frame, i, "integer");
}

NEAP_API neap_converted neap_arg_convert(neap_frame *frame, int i) {
  int index = index_of(frame, i);
  neap_converted c;
  c.value = lua_tointegerx(frame->L, index, &frame->converted);
  c.status = frame->converted ? NEAP_OK : expected_integer(frame, i);
  return c;
}

NEAP_API int neap_arg_number(neap_frame *frame, int i, lua_Number *value) {
  int index = index_of(frame, i);
  *value = lua_tonumberx(frame->L, index, &frame->converted);
  return frame->converted ? NEAP_OK : expected(frame, i, "number");
}

NEAP_API int neap_arg_boolean(neap_frame *frame, int i, int *value) {
  *value = lua_toboolean(frame->L, index_of(frame, i));
  return NEAP_OK;
}

typedef struct borrowing {
  neap_vm *vm;
  neap_value value;
  int status;
} borrowing;

static int borrow(lua_State *L) {
  borrowing *b = (borrowing *)lua_touserdata(L, 1);
  (void)neap__value_push(b->vm, L, &b->value);
  lua_tostring(L, -1);
  b->status = neap__value_get(b->vm, L, -1, &b->value) ? NEAP_OK : NEAP_ENOMEM;
  return 0;
}

/* Makes a borrowed string of a number, or of a string made in C. */
static int borrow_text(neap_vm *vm, neap_value *value) {
  borrowing b = {.vm = vm, .value = *value};
  int status = neap__protect(vm, borrow, &b);
  if (status == NEAP_OK && b.status != NEAP_OK)
    status = neap__fail(vm, b.status, NULL, NULL);
  *value = status == NEAP_OK ? b.value : neap_nil();
  return status;
}

NEAP_API int neap_arg_string(neap_frame *frame, int i, const char **data,
                             size_t *size) {
  int index = index_of(frame, i), type = lua_type(frame->L, index);
  *data = NULL;
  *size = 0;
  if (type == LUA_TSTRING)
    *data = lua_tolstring(frame->L, index, size);
  else if (type == LUA_TNUMBER) {
    neap_value value = neap_arg(frame, i);
    int status = borrow_text(frame->vm, &value);
    if (status != NEAP_OK)
      return status;
    *data = value.as.string.data;
    *size = value.as.string.size;
  }
  else
    return expected(frame, i, "string");
  return NEAP_OK;
}

NEAP_API int neap_arg_object(neap_frame *frame, int i, const neap_class *type,
                             void **object) {
  int index = index_of(frame, i);
  char fault[256];
  *object = neap__hosted_get(frame->L, index, type);
  if (*object != NULL)
    return NEAP_OK;
  neap__hosted_fault(frame->L, index, type, fault, sizeof fault);
  return bad_argument(frame, i, fault);
}

/* ====================================================== } */

/* {======================================================
** The outcome
** ======================================================= */

/* One that is not plain, or needs room. */
NEAP__APART int return_any(neap_frame *frame, const neap_value *value) {
  int status;
  if (frame->nresults >= ROOM && !lua_checkstack(frame->L, 1 + SPARE))
    status = neap__fail(frame->vm, NEAP_ENOMEM, NULL, NULL);
  else
    status = neap__value_pass(frame->vm, frame->L, value);
  if (status == NEAP_OK)
    frame->nresults++;
  else
    frame->lost = status;
  return status;
}

NEAP_API int neap_return_value(neap_frame *frame, const neap_value *value) {
  if (frame->nresults >= ROOM || !neap__plain_push(frame->L, value))
    return return_any(frame, value);
  frame->nresults++;
  return NEAP_OK;
}

NEAP_API int neap_return_integer(neap_frame *frame, lua_Integer integer) {
  if (frame->nresults >= ROOM) {
    neap_value value = neap_integer(integer);
    return return_any(frame, &value);
  }
  frame->nresults++;
  lua_pushinteger(frame->L, integer);
  return NEAP_OK;
}

NEAP_API int neap_fail(neap_frame *frame, const char *format, ...) {
  char text[LONGEST_MESSAGE + 1];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  frame->message = neap_text(text);
  if (borrow_text(frame->vm, &frame->message) != NEAP_OK)
    frame->lost = NEAP_ENOMEM;
  return NEAP_ESCRIPT;
}

NEAP_API int neap_checkpoint(neap_frame *frame) {
  neap_vm *vm = frame->vm;
  int status = neap__limits_reached(vm);
  if (status == NEAP_OK && vm->interrupts != vm->interrupts_seen)
    status = NEAP_EINTR;
  return status;
}

/* ====================================================== } */
