/*
** scripts.c - every allocation fails in turn while a script runs as a task:
** each file of tests/torture/scripts, in a sandbox without limits and in one
** with limits that it does not reach. Run from the top of the sources.
*/
#include "torture.h"

#include <dirent.h>

#define FOLDER "tests/torture/scripts"
#define MOST 64

static void set_capabilities(neap_config *config) {
  config->capabilities |= NEAP_CAN_LOAD | NEAP_CAN_NET;
}

static void set_limits(neap_config *config) {
  set_capabilities(config);
  config->limits.memory = (size_t)64 << 20;
  config->limits.tasks = 1000;
  config->limits.output = 1000;
}

static void run_text(neap_vm *vm, const void *ud) {
  if (run_script(vm, "script", ud) && last_status != NEAP_OK)
    assert_explained(last_status, last_message);
}

/* The bytes of a file, with a 0 behind them. */
static char *read_file(const char *path) {
  FILE *file = fopen(path, "r");
  char *text = calloc(1, 1 << 16);
  if (file == NULL || text == NULL ||
      fread(text, 1, (1 << 16) - 1, file) == 0 || ferror(file)) {
    perror(path);
    exit(1);
  }
  (void)fclose(file);
  return text;
}

static int is_script(const struct dirent *entry) {
  const char *dot = strrchr(entry->d_name, '.');
  return dot != NULL && strcmp(dot, ".lua") == 0;
}

int main(int argc, char **argv) {
  static run runs[2 * MOST];
  struct dirent **files;
  int n = scandir(FOLDER, &files, is_script, alphasort), failed;
  if (n <= 0 || n > MOST) {
    perror(FOLDER);
    return 1;
  }
  for (int i = 0; i < n; i++) {
    run *plain = &runs[2 * i], *limited = plain + 1;
    char path[sizeof FOLDER + 256];
    snprintf(path, sizeof path, FOLDER "/%s", files[i]->d_name);
    snprintf(plain->name, sizeof plain->name, "%.60s", files[i]->d_name);
    plain->body = run_text;
    plain->ud = read_file(path);
    plain->configure = set_capabilities;
    *limited = *plain;
    strcat(limited->name, " with limits");
    limited->configure = set_limits;
    free(files[i]);
  }
  free(files);
  failed = torture("scripts", runs, 2 * (size_t)n, argc, argv);
  for (int i = 0; i < n; i++)
    free((void *)(uintptr_t)runs[2 * i].ud);
  return failed;
}
