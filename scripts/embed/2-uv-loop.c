/*
** 2-uv-loop.c - a host that has a libuv loop, and runs scripts on it.
**
** Two VMs share the host's loop with a timer of the host's. Each time that
** it fires, both VMs get a task; these sleep and go on while the timer ticks
** and the other VM's tasks do the same. Nothing is to be done for the VMs
** but to run the loop: in the end, too, until they are closed.
*/
#include <neap.h>

#include <stdio.h>
#include <stdlib.h>

enum { TICKS = 3, TENANTS = 2 };

static const char *const script =
    "local total = 0\n"
    "function async.on_tick(n)\n"
    "  await(sleep(0.03))\n"
    "  total = total + n\n"
    "  return total\n"
    "end\n";

/* One VM, and what the host knows of it. */
typedef struct tenant {
  neap_vm *vm;
  neap_value on_tick; /* the script's function */
  lua_Integer total;  /* what it has answered last */
  int closed;         /* nothing of the VM is left */
} tenant;

/* What the timer works with. */
typedef struct host {
  int ticks;
  tenant tenants[TENANTS];
} host;

/* Ends the program when a function of Neap has failed. */
static void check(neap_vm *vm, int status) {
  neap_error_info error;
  if (status >= 0)
    return;
  neap_error(vm, &error);
  fprintf(stderr, "%s%s\n", error.message, error.traceback);
  exit(EXIT_FAILURE);
}

/* The same for libuv's functions, and for those that come without a VM. */
static void check_text(int status, const char *text) {
  if (status >= 0)
    return;
  fprintf(stderr, "%s\n", text);
  exit(EXIT_FAILURE);
}

static void check_uv(int status) {
  check_text(status, status < 0 ? uv_strerror(status) : NULL);
}

/* Makes a VM on the loop, and runs the script there, which defines
   on_tick. A function that is got from a VM is borrowed: we keep it. */
static void tenant_open(tenant *t, uv_loop_t *loop) {
  neap_config config;
  neap_value chunk;
  int status;
  neap_config_init(&config);
  config.loop = loop;
  status = neap_new(&t->vm, &config);
  check_text(status, neap_strerror(status));
  check(t->vm, neap_load(t->vm, "script", script, strlen(script), &chunk));
  check(t->vm, neap_call(t->vm, &chunk, NULL, 0, NULL, 0, 0));
  check(t->vm, neap_get(t->vm, "on_tick", &t->on_tick));
  check(t->vm, neap_retain(t->vm, &t->on_tick));
}

/* A task has ended; its first result is the total. */
static void answered(void *ud, neap_vm *vm, int status,
                     const neap_value *results, int nresults) {
  tenant *t = (tenant *)ud;
  check(vm, status);
  if (nresults > 0 && results[0].type == NEAP_INTEGER)
    t->total = results[0].as.integer;
}

/* The host's own event: a task for each VM, which starts when this has
   returned to the loop. */
static void tick(uv_timer_t *timer) {
  host *h = (host *)timer->data;
  neap_value n = neap_integer(++h->ticks);
  int i;
  printf("tick %d\n", h->ticks);
  for (i = 0; i < TENANTS; i++) {
    tenant *t = &h->tenants[i];
    check(t->vm, neap_spawn(t->vm, &t->on_tick, &n, 1, 0, answered, t, NULL));
  }
  if (h->ticks == TICKS)
    uv_close((uv_handle_t *)timer, NULL);
}

static void closed(void *ud) {
  tenant *t = (tenant *)ud;
  t->closed = 1;
}

int main(void) {
  uv_loop_t loop;
  uv_timer_t timer;
  host h;
  int i;
  memset(&h, 0, sizeof h);
  check_uv(uv_loop_init(&loop));
  for (i = 0; i < TENANTS; i++)
    tenant_open(&h.tenants[i], &loop);
  check_uv(uv_timer_init(&loop, &timer));
  timer.data = &h;
  check_uv(uv_timer_start(&timer, tick, 10, 10));

  /* returns when the timer is closed and no VM has anything to do */
  check_uv(uv_run(&loop, UV_RUN_DEFAULT));
  for (i = 0; i < TENANTS; i++) {
    tenant *t = &h.tenants[i];
    printf("VM %d: the ticks add up to " LUA_INTEGER_FMT "\n", i, t->total);
    check(t->vm, neap_close(t->vm, closed, t));
  }
  /* a VM's handles on our loop are closed by the loop */
  check_uv(uv_run(&loop, UV_RUN_DEFAULT));
  check_uv(uv_loop_close(&loop)); /* fails if anything were left there */
  for (i = 0; i < TENANTS; i++)
    printf("VM %d: %s\n", i, h.tenants[i].closed ? "closed" : "still there");
  return EXIT_SUCCESS;
}
