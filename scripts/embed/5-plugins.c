/*
** 5-plugins.c - a plugin host: each file of a folder in a VM of its own,
** with limits, all on one loop.
**
**     5-plugins [folder]
**
** A plugin returns a function. Each line of standard input is an event: all
** these get it, as tasks, side by side. A plugin that is killed by a limit is
** closed, and the others go on; one whose file has changed is loaded again.
*/
#include <neap.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const neap_limits limits = {
    2 << 20, /* memory: bytes */
    0,       /* memory_hard: four times as much */
    2,       /* deadline: seconds for a call, here an event */
    0.01,    /* slice: seconds; then it is the others' turn */
    100,     /* tasks */
    1000,    /* output: bytes; counted anew for each event */
};

typedef struct plugin {
  const char *name;     /* of its file */
  struct timespec read; /* the time of that when it was read last */
  neap_vm *vm;          /* NULL: it did not load, or was killed */
  neap_value call;      /* the function that it has returned */
  int killed;           /* and still to be closed */
} plugin;

/* What a plugin prints; `text` ends with a newline. */
static void output(void *ud, const char *text, size_t size) {
  printf("%s: %.*s", ((plugin *)ud)->name, (int)size, text);
}

/* Something has failed in the plugin's VM. By a mistake in its script, which
   may do better the next time? Else a limit was hit: the VM is to be closed. */
static void failed(plugin *p) {
  neap_error_info error;
  neap_error(p->vm, &error);
  printf("%s: %s\n", p->name, error.message);
  p->killed = error.code != NEAP_ESCRIPT && error.code != NEAP_ECANCELED;
}

static void answered(void *ud, neap_vm *vm, int status,
                     const neap_value *results, int nresults) {
  (void)vm, (void)results, (void)nresults;
  if (status != NEAP_OK)
    failed((plugin *)ud);
}

/* Closes the VM, if there is one. Not to be called by a callback of it. */
static void unload(plugin *p) {
  if (neap_close(p->vm, NULL, NULL) != NEAP_OK)
    abort(); /* it was */
  p->vm = NULL;
  p->killed = 0;
}

/* Runs a plugin's text in a new VM, which replaces the old one if it can. */
static void load(plugin *p, uv_loop_t *loop, const char *text, size_t size) {
  plugin fresh = *p;
  neap_config config;
  neap_value chunk;
  int status;
  neap_config_init(&config); /* no capabilities */
  config.loop = loop;
  config.limits = limits;
  config.output = output;
  config.output_ud = p;
  status = neap_new(&fresh.vm, &config);
  if (status != NEAP_OK) {
    printf("%s: %s\n", p->name, neap_strerror(status));
  } else if (neap_load(fresh.vm, p->name, text, size, &chunk) < 0 ||
             neap_call(fresh.vm, &chunk, NULL, 0, &fresh.call, 1, 0) < 0 ||
             neap_retain(fresh.vm, &fresh.call) < 0) {
    failed(&fresh);
    unload(&fresh);
  } else {
    unload(p);
    *p = fresh;
  }
}

/* Loads the plugin if its file has changed. If that is gone, it stays. */
static void refresh(plugin *p, uv_loop_t *loop) {
  static char text[65536];
  struct stat info;
  FILE *file = fopen(p->name, "rb");
  if (file == NULL)
    return;
  if (fstat(fileno(file), &info) == 0 &&
      memcmp(&info.st_mtim, &p->read, sizeof p->read) != 0) {
    size_t size = fread(text, 1, sizeof text, file);
    p->read = info.st_mtim;
    if (size == sizeof text || ferror(file))
      printf("%s: too large, or not readable\n", p->name);
    else
      load(p, loop, text, size);
  }
  fclose(file);
}

/* Gives every plugin the event, and runs them until none has anything left
   to do. What else a host has on the loop goes on beside them. */
static void send_event(plugin *p, plugin *end, uv_loop_t *loop,
                       neap_value event) {
  for (; p < end; p++) {
    if (p->killed)
      unload(p);
    refresh(p, loop);
    if (p->vm != NULL &&
        (neap_limits_set(p->vm, &limits) < 0 ||
         neap_spawn(p->vm, &p->call, &event, 1, 0, answered, p, NULL) < 0))
      failed(p); /* it has returned no function, say */
  }
  uv_run(loop, UV_RUN_DEFAULT);
  fflush(stdout);
}

int main(int argc, char **argv) {
  const char *folder = argc > 1 ? argv[1] : "scripts/embed/plugins";
  plugin *plugins, *end, *p;
  char line[1024];
  uv_loop_t loop;
  glob_t files;
  if (chdir(folder) != 0 || glob("*.lua", 0, NULL, &files) != 0 ||
      (plugins = (plugin *)calloc(files.gl_pathc, sizeof *plugins)) == NULL ||
      uv_loop_init(&loop) != 0) {
    fprintf(stderr, "%s: no plugins\n", folder);
    return EXIT_FAILURE;
  }
  end = plugins + files.gl_pathc;
  for (p = plugins; p < end; p++)
    p->name = files.gl_pathv[p - plugins];
  while (fgets(line, sizeof line, stdin) != NULL)
    send_event(plugins, end, &loop, neap_bytes(line, strcspn(line, "\n")));
  for (p = plugins; p < end; p++)
    unload(p);
  uv_run(&loop, UV_RUN_DEFAULT); /* until all are closed */
  free(plugins);
  globfree(&files);
  return uv_loop_close(&loop) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
