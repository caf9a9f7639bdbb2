/*
** port.c - ports: the way into a VM from any thread (neap.h).
**
** A VM has one port, made when it is first asked for, which lives as long
** as somebody holds it. What comes is a job in its `mail`; the next turn
** (loop.c) runs these first. A post is then one of those that are ready.
**  1. `vm` is set until neap__port_close. Who has the lock and sees it set may
**     use vm->mail, neap__kill_request, and the wakeup of vm->pollers; nothing
**     else of the VM.
**  2. vm->mail is set when there is mail or a kill, and the wakeup is sent
**     when it becomes set: once for all that comes until it is taken.
**  3. No code of the host's runs under the lock: a host may have a lock of
**     its own when it posts, and want the same one in its callbacks.
*/
#include <stdlib.h>

#include "port.h"

/* {======================================================
** The port
** ======================================================= */

/* Runs what has come. */
static void take(neap_vm *vm, neap_port *port) {
  neap__queue mail;
  uv_mutex_lock(&port->lock);
  mail = port->mail;
  port->mail.last = NULL;
  atomic_store_explicit(&vm->mail, NULL, memory_order_relaxed);
  uv_mutex_unlock(&port->lock);
  while (mail.last != NULL) {
    neap__job *job = neap__queue_pop(&mail);
    job->run(vm, job);
  }
}

/* The job behind vm->mail. */
static void deliver(neap_vm *vm, neap__job *job) {
  (void)job;
  if (vm->kill_requested)
    neap__vm_kill(vm, NEAP_EKILLED);
  take(vm, vm->port);
}

static neap_port *port_new(neap_vm *vm) {
  neap_port *port = (neap_port *)calloc(1, sizeof *port);
  if (port == NULL)
    return NULL;
  if (uv_mutex_init(&port->lock) != 0)
    goto no_lock;
  if (uv_cond_init(&port->quiet) != 0)
    goto no_cond;
  atomic_init(&port->refs, 1);
  port->vm = vm;
  port->delivery.run = deliver;
  return port;
no_cond:
  uv_mutex_destroy(&port->lock);
no_lock:
  free(port);
  return NULL;
}

int neap__port_need(neap_vm *vm) {
  uv_loop_t *loop;
  int status = vm->killed; /* closed, perhaps */
  if (vm->port != NULL)
    return NEAP_OK;
  if (status == NEAP_OK)
    status = neap_loop(vm, &loop);
  if (status == NEAP_OK)
    status = neap__attach(vm);
  if (status == NEAP_OK) {
    vm->port = port_new(vm);
    if (vm->port == NULL)
      status = NEAP_ENOMEM;
  }
  return status == NEAP_OK ? status : neap__fail(vm, status, NULL, NULL);
}

NEAP_API int neap_port_open(neap_vm *vm, neap_port **port) {
  int status = neap__check(vm);
  *port = NULL;
  if (status == NEAP_OK)
    status = neap__port_need(vm);
  if (status == NEAP_OK) {
    *port = vm->port;
    neap_port_retain(*port);
  }
  return status;
}

NEAP_API void neap_port_retain(neap_port *port) {
  (void)atomic_fetch_add(&port->refs, 1);
}

NEAP_API void neap_port_release(neap_port *port) {
  if (port == NULL || atomic_fetch_sub(&port->refs, 1) > 1)
    return;
  uv_cond_destroy(&port->quiet);
  uv_mutex_destroy(&port->lock);
  free(port);
}

void neap__port_close(neap_vm *vm) {
  neap_port *port = vm->port;
  if (port == NULL)
    return;
  uv_mutex_lock(&port->lock);
  port->vm = NULL; /* nothing is sent any more: the wakeup can be closed */
  while (port->ringing > 0)
    uv_cond_wait(&port->quiet, &port->lock);
  uv_mutex_unlock(&port->lock);
  vm->port = NULL;
  take(vm, port);
  neap_port_release(port);
}

/* ====================================================== } */

/* {======================================================
** Sending
** ======================================================= */

/* With the lock, which it gives back: the VM's thread is to look. */
static void ring(neap_port *port) {
  neap_vm *vm = port->vm;
  void (*wakeup)(void *ud) = vm->host_wakeup;
  void *ud = vm->host_wakeup_ud;
  int is_first = atomic_load_explicit(&vm->mail, memory_order_relaxed) == NULL;
  if (is_first) {
    atomic_store_explicit(&vm->mail, &port->delivery, memory_order_relaxed);
    (void)uv_async_send(&vm->pollers->wakeup); /* cannot fail */
    if (wakeup != NULL)
      port->ringing++; /* neap__port_close waits */
  }
  uv_mutex_unlock(&port->lock);
  if (!is_first || wakeup == NULL)
    return;
  wakeup(ud);
  uv_mutex_lock(&port->lock);
  if (--port->ringing == 0)
    uv_cond_signal(&port->quiet);
  uv_mutex_unlock(&port->lock);
}

void neap__port_send(neap_port *port, neap__job *job) {
  neap__queue_push(&port->mail, job);
  ring(port);
}

void neap__port_ring(neap_port *port) {
  uv_mutex_lock(&port->lock);
  if (port->vm != NULL)
    ring(port);
  else
    uv_mutex_unlock(&port->lock);
}

typedef struct post {
  neap__job job;
  void (*f)(neap_vm *vm, void *payload);
  void *payload;
  void (*dispose)(void *payload);
} post;

static void post_free(post *p) {
  if (p->dispose != NULL)
    p->dispose(p->payload);
  free(p);
}

static void post_run(neap_vm *vm, neap__job *job) {
  post *p = (post *)job;
  if (vm->port != NULL) { /* not closed meanwhile */
    int scope = neap__scope_open(vm);
    p->f(vm, p->payload);
    neap__scope_close(vm, scope);
  }
  post_free(p);
}

static void post_arrives(neap_vm *vm, neap__job *job) {
  job->run = post_run;
  neap__queue_push(&vm->ready, job);
}

NEAP_API int neap_post(neap_port *port, void (*f)(neap_vm *vm, void *payload),
                       void *payload, void (*dispose)(void *payload)) {
  post *p;
  if (f == NULL)
    return NEAP_EINVAL;
  p = (post *)malloc(sizeof *p);
  if (p == NULL)
    return NEAP_ENOMEM;
  p->job.run = post_arrives;
  p->f = f;
  p->payload = payload;
  p->dispose = dispose;
  uv_mutex_lock(&port->lock);
  if (port->vm == NULL) {
    uv_mutex_unlock(&port->lock);
    post_free(p);
    return NEAP_ECLOSED;
  }
  neap__port_send(port, &p->job);
  return NEAP_OK;
}

NEAP_API int neap_port_kill(neap_port *port) {
  uv_mutex_lock(&port->lock);
  if (port->vm == NULL) {
    uv_mutex_unlock(&port->lock);
    return NEAP_ECLOSED;
  }
  neap__kill_request(port->vm);
  ring(port);
  return NEAP_OK;
}

/* ====================================================== } */
