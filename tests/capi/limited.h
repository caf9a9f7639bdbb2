/*
** limited.h - what the tests of limits and kills share: a VM with limits,
** whose memory is counted, and scripts that come to a certain end in it.
*/
#ifndef LIMITED_H
#define LIMITED_H

#include "threads.h"

typedef struct trial {
  neap_vm *vm;
  heap memory;
  size_t printed; /* bytes */
  reports reports;
} trial;

/* How a task has ended. */
typedef struct ending {
  int count;
  int status;
  char message[200];
} ending;

/* A neap_done_fn; `ud` is an ending. */
static inline void note_end(void *ud, neap_vm *vm, int status,
                            const neap_value *results, int nresults) {
  ending *e = ud;
  neap_error_info info;
  (void)results;
  (void)nresults;
  neap_error(vm, &info);
  e->count++;
  e->status = status;
  snprintf(e->message, sizeof e->message, "%s",
           status == NEAP_OK ? "" : info.message);
}

static inline void note_output(void *ud, const char *text, size_t len) {
  trial *t = ud;
  (void)text;
  t->printed += len;
}

/* The rest of the configuration, `config`, is as the caller left it. */
static inline void trial_open_with(trial *t, neap_config *config) {
  memset(t, 0, sizeof *t);
  t->memory.countdown = -1;
  config->alloc = heap_alloc;
  config->alloc_ud = &t->memory;
  config->output = note_output;
  config->output_ud = t;
  config->report = reports_add;
  config->report_ud = &t->reports;
  t->vm = new_vm(config);
}

static inline void trial_open(trial *t, const neap_limits *limits) {
  neap_config config;
  neap_config_init(&config);
  config.limits = *limits;
  trial_open_with(t, &config);
}

/* Closes the VM; nothing of it is left. */
static inline void trial_close(trial *t) {
  close_vm(t->vm);
  assert_int_equal(t->memory.blocks, 0);
}

/* Starts a script, which has asyncio, as a task; 0: the deadline of the
   limits. */
static inline neap_task start(trial *t, double deadline, const char *code,
                              ending *e) {
  neap_value f = load_script(t->vm, code);
  neap_task task;
  if (e != NULL)
    memset(e, 0, sizeof *e);
  assert_int_equal(neap_spawn(t->vm, &f, NULL, 0, deadline,
                              e != NULL ? note_end : NULL, e, &task),
                   NEAP_OK);
  return task;
}

/* Runs it as a task to its end, which is to be this one. */
static inline void expect_end(trial *t, int status, const char *code) {
  ending e;
  start(t, 0, code, &e);
  while (e.count == 0)
    assert_in_range(neap_tick(t->vm, 1000), 0, 1);
  assert_int_equal(e.count, 1);
  if (e.status != status)
    fail_msg("%s: %s (expected: %s)", neap_strerror(e.status), e.message,
             neap_strerror(status));
}

/* Calls it. */
static inline int call(trial *t, const char *code, double deadline) {
  neap_value f = load_script(t->vm, code);
  return neap_call(t->vm, &f, NULL, 0, NULL, 0, deadline);
}

#endif
