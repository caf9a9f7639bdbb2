/*
** port.h - what promises need of their VM's port.
*/
#ifndef NEAP_PORT_H
#define NEAP_PORT_H

#include <stdatomic.h>

#include "embed.h"

struct neap_port {
  atomic_uint refs;   /* of the VM, of promises, and of the host */
  uv_mutex_t lock;    /* guards the rest */
  uv_cond_t quiet;    /* no thread is in config.wakeup */
  unsigned ringing;   /* threads that are */
  neap_vm *vm;        /* NULL: closed */
  neap__queue mail;   /* jobs that are to run on the VM's thread */
  neap__job delivery; /* what vm->mail points to: runs them */
};

/* The VM's port, vm->port, is there afterwards, and the VM's loop. NEAP_OK,
   or an error, remembered. */
int neap__port_need(neap_vm *vm);

/* With the lock, which it gives back, of a port that is not closed: the job
   will run on the VM's thread, between two others, or when the VM closes. It
   runs no code of the host's. */
void neap__port_send(neap_port *port, neap__job *job);

/* Any thread: there is something for the VM's thread to do, unless the port is
   closed. */
void neap__port_ring(neap_port *port);

#endif
