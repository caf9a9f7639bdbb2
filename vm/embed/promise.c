/*
** promise.c - native functions that suspend the task which calls them, until
** another thread has a result: promises, and work for libuv's pool (neap.h).
**
** A promise is held by the host until its release, by the task while it
** waits, and by the port's mail from settling until the VM's thread has
** taken note. Its state, by the port's lock, leaves PENDING once:
**    SETTLED    settle(), which copies the outcome before; any thread
**    CANCELLED  promise_cancel(): nobody waits any longer; the VM's thread
** So either a settle succeeds or the host's `cancel` is called.
*/
#include <stdlib.h>

#include "port.h"

#define MOST_RESULTS 255

/* {======================================================
** What both do
** ======================================================= */

/* Whether the call can suspend its task now. */
static int check_frame(neap_frame *frame) {
  neap_vm *vm = frame->vm;
  int status = neap__check(vm);
  if (status != NEAP_OK)
    return status;
  if (frame->suspension != NULL)
    return neap_fail(frame, "%s: waits for something already", frame->name);
  if (vm->current == NULL)
    return neap_fail(frame, "%s: called outside a task", frame->name);
  if (!neap__can_suspend(vm, frame->L))
    return neap_fail(frame, "%s: cannot wait in a callback of a C function",
                     frame->name);
  return NEAP_OK;
}

/* One thing more, or less, that another thread will end: keeps the loop
   alive. */
static void native_begins(neap_vm *vm) {
  if (vm->native_calls++ == 0)
    uv_ref((uv_handle_t *)&vm->pollers->wakeup);
}

static void native_ends(neap_vm *vm) {
  if (--vm->native_calls == 0)
    uv_unref((uv_handle_t *)&vm->pollers->wakeup);
}

/* The task is to wait when the native function has returned. */
static int wait_for(neap_frame *frame, neap__suspension *s,
                    void (*cancel)(neap_wait *wait),
                    int (*results)(lua_State *L, neap_vm *vm,
                                   neap__suspension *s)) {
  s->wait.cancel = cancel;
  s->wait.what = frame->name;
  s->wait.vm = frame->vm;
  s->results = results;
  frame->suspension = s;
  if (frame->lost == NEAP_OK)
    frame->lost = NEAP_SUSPENDED;
  native_begins(frame->vm);
  return NEAP_SUSPENDED;
}

/* ====================================================== } */

/* {======================================================
** Promises
** ======================================================= */

typedef enum promise_state { PENDING, SETTLED, CANCELLED } promise_state;

struct neap_promise {
  neap__suspension suspension; /* of the task */
  neap__job arrival;           /* in the port's mail, when settled */
  atomic_uint refs;            /* of host, task, mail */
  neap_port *port;
  promise_state state;
  int rejected;                /* the value is a message; 0: results */
  int nvalues;
  neap_value *values;          /* one block with their strings */
  void (*cancel)(void *ud);    /* the host's */
  void *ud;
};

static void promise_release(neap_promise *p) {
  if (atomic_fetch_sub(&p->refs, 1) > 1)
    return;
  neap_port_release(p->port);
  free(p->values);
  free(p);
}

/* The task waits no longer. */
static void promise_cancel(neap_wait *wait) {
  neap_promise *p = (neap_promise *)wait;
  int was_pending;
  uv_mutex_lock(&p->port->lock);
  was_pending = p->state == PENDING;
  if (was_pending)
    p->state = CANCELLED;
  uv_mutex_unlock(&p->port->lock);
  if (was_pending) {
    native_ends(wait->vm);
    if (p->cancel != NULL)
      p->cancel(p->ud);
  }
  promise_release(p);
}

/* Lua: the promise, light userdata -> its results; or raises its error, with
   the position of the script that waits. */
static int push_outcome(lua_State *L) {
  const neap_promise *p = (const neap_promise *)lua_touserdata(L, 1);
  luaL_checkstack(L, p->nvalues, "too many results");
  for (int i = 0; i < p->nvalues; i++)
    (void)neap__value_push(p->suspension.wait.vm, L, &p->values[i]);
  if (!p->rejected)
    return p->nvalues;
  return neap__usage(L, 2, "%s", p->nvalues > 0 ? lua_tostring(L, -1)
                                                : "the promise was given up");
}

static int promise_results(lua_State *L, neap_vm *vm, neap__suspension *s) {
  int top = lua_gettop(L), status;
  (void)vm;
  lua_pushcfunction(L, push_outcome);
  lua_pushlightuserdata(L, s);
  status = lua_pcall(L, 1, LUA_MULTRET, 0);
  promise_release((neap_promise *)s);
  return status == LUA_OK ? lua_gettop(L) - top : lua_error(L);
}

/* It has been settled. */
static void promise_arrives(neap_vm *vm, neap__job *job) {
  neap_promise *p =
      (neap_promise *)((char *)job - offsetof(neap_promise, arrival));
  (void)neap_wake(&p->suspension.wait); /* cancelled meanwhile: no matter */
  native_ends(vm);
  promise_release(p);
}

NEAP_API int neap_promise_open(neap_frame *frame, void (*cancel)(void *ud),
                               void *ud, neap_promise **promise) {
  neap_promise *p;
  int status = check_frame(frame);
  *promise = NULL;
  if (status == NEAP_OK)
    status = neap__port_need(frame->vm);
  if (status != NEAP_OK)
    return status;
  p = (neap_promise *)calloc(1, sizeof *p);
  if (p == NULL)
    return neap__fail(frame->vm, NEAP_ENOMEM, NULL, NULL);
  p->arrival.run = promise_arrives;
  atomic_init(&p->refs, 2);
  p->port = frame->vm->port;
  neap_port_retain(p->port);
  p->cancel = cancel;
  p->ud = ud;
  *promise = p;
  return wait_for(frame, &p->suspension, promise_cancel, promise_results);
}

/* Settles it with an outcome, which it takes. */
static int settle(neap_promise *p, int rejected, int n, neap_value *values) {
  int status;
  uv_mutex_lock(&p->port->lock);
  if (p->state == SETTLED)
    status = NEAP_EALREADY;
  else if (p->port->vm == NULL)
    status = NEAP_ECLOSED;
  else if (p->state == CANCELLED)
    status = NEAP_ECANCELED;
  else {
    p->state = SETTLED;
    p->rejected = rejected;
    p->nvalues = n;
    p->values = values;
    (void)atomic_fetch_add(&p->refs, 1);
    neap__port_send(p->port, &p->arrival);
    return NEAP_OK;
  }
  uv_mutex_unlock(&p->port->lock);
  free(values);
  return status;
}

/* Copies the values and settles. */
static int settle_with(neap_promise *p, int rejected, int n,
                       const neap_value *values) {
  size_t size = (size_t)n * sizeof *values;
  neap_value *copy;
  char *bytes;
  int i;
  for (i = 0; i < n; i++) {
    if ((unsigned)values[i].type > NEAP_STRING)
      return NEAP_EINVAL;
    if (values[i].type == NEAP_STRING)
      size += values[i].as.string.size;
  }
  copy = (neap_value *)malloc(size > 0 ? size : 1);
  if (copy == NULL)
    return NEAP_ENOMEM;
  bytes = (char *)(copy + n);
  for (i = 0; i < n; i++) {
    copy[i] = values[i];
    if (copy[i].type == NEAP_STRING) {
      size = copy[i].as.string.size;
      if (size > 0)
        memcpy(bytes, copy[i].as.string.data, size);
      copy[i] = neap_bytes(bytes, size);
      bytes += size;
    }
  }
  return settle(p, rejected, n, copy);
}

NEAP_API int neap_resolve(neap_promise *promise, const neap_value *results,
                          int nresults) {
  if (nresults < 0 || nresults > MOST_RESULTS)
    return NEAP_EINVAL;
  return settle_with(promise, 0, nresults, results);
}

NEAP_API int neap_reject(neap_promise *promise, const char *message) {
  neap_value value = neap_text(message);
  return settle_with(promise, 1, 1, &value);
}

NEAP_API void neap_promise_release(neap_promise *promise) {
  if (promise == NULL)
    return;
  (void)settle(promise, 1, 0, NULL); /* settled or cancelled: no matter */
  promise_release(promise);
}

/* ====================================================== } */

/* {======================================================
** Work for libuv's pool
** ======================================================= */

typedef struct offload {
  neap__suspension suspension; /* of the task */
  uv_work_t request;
  neap_vm *vm;     /* for the work's thread, too */
  void (*work)(void *ud);
  neap_function after;
  void (*dispose)(void *ud);
  void *ud;
  neap_port *port; /* rings at the end of the work; NULL: nobody listens */
  int before;    /* as in the frame of the call */
  int cancelled; /* nobody waits any longer */
  int ended;     /* the work has */
} offload;

static void offload_free(offload *o) {
  if (o->dispose != NULL)
    o->dispose(o->ud);
  neap_port_release(o->port);
  free(o);
}

static void offload_cancel(neap_wait *wait) {
  offload *o = (offload *)wait;
  if (o->ended) {
    offload_free(o);
    return;
  }
  o->cancelled = 1;
  native_ends(wait->vm);
  (void)uv_cancel((uv_req_t *)&o->request); /* in vain when it has begun */
}

static int run_after(neap_frame *frame, void *ud) {
  offload *o = (offload *)ud;
  int status = o->after != NULL ? o->after(frame, o->ud) : NEAP_OK;
  offload_free(o);
  return status;
}

static int offload_results(lua_State *L, neap_vm *vm, neap__suspension *s) {
  offload *o = (offload *)s;
  return neap__native_call(L, vm, s->wait.what, o->before, run_after, o);
}

static void work_runs(uv_work_t *request) {
  offload *o = (offload *)request->data;
  o->work(o->ud);
  (void)atomic_fetch_add(&o->vm->works_over, 1);
  if (o->port != NULL)
    neap__port_ring(o->port);
}

/* On the loop, maybe after Lua has gone. */
static void work_ended(uv_work_t *request, int status) {
  offload *o = (offload *)request->data;
  neap_vm *vm = o->vm;
  if (status == 0) /* else it was left out: then nobody waits, either */
    (void)atomic_fetch_sub(&vm->works_over, 1);
  if (o->cancelled)
    offload_free(o);
  else {
    o->ended = 1;
    native_ends(vm);
    (void)neap_wake(&o->suspension.wait);
  }
  neap_loop_release(vm);
}

NEAP_API int neap_offload(neap_frame *frame, void (*work)(void *ud),
                          neap_function after, void (*dispose)(void *ud),
                          void *ud) {
  int status = check_frame(frame), missing;
  uv_loop_t *loop;
  offload *o;
  if (status == NEAP_OK && work == NULL)
    status = neap__fail(frame->vm, NEAP_EINVAL, NULL, NULL);
  if (status == NEAP_OK)
    status = neap_loop(frame->vm, &loop);
  if (status == NEAP_OK && (missing = neap_threads()) != 0)
    status = neap_fail(frame, "%s: there are no threads: %s", frame->name,
                       uv_strerror(missing));
  if (status == NEAP_OK && frame->vm->host_wakeup != NULL)
    status = neap__port_need(frame->vm);
  if (status != NEAP_OK)
    goto err;
  o = (offload *)calloc(1, sizeof *o);
  if (o == NULL) {
    status = neap__fail(frame->vm, NEAP_ENOMEM, NULL, NULL);
    goto err;
  }
  o->request.data = o;
  o->vm = frame->vm;
  o->work = work;
  o->after = after;
  o->dispose = dispose;
  o->ud = ud;
  if (frame->vm->host_wakeup != NULL) {
    o->port = frame->vm->port;
    neap_port_retain(o->port);
  }
  o->before = frame->before;
  (void)uv_queue_work(loop, &o->request, work_runs,
                      work_ended); /* cannot fail */
  neap_loop_retain(frame->vm);
  return wait_for(frame, &o->suspension, offload_cancel, offload_results);
err:
  if (dispose != NULL)
    dispose(ud);
  return status;
}

/* ====================================================== } */
