/*
** fuzz.h - what the fuzz targets share: the configuration of a VM for a
** plugin that nobody trusts, and a main for builds without libFuzzer.
**
** A target NAME.c has LLVMFuzzerTestOneInput, and its seeds in the folder
** NAME. Without libFuzzer it is a test that runs each seed once, from the top
** of the sources; or it runs the files that are its arguments.
*/
#ifndef FUZZ_H
#define FUZZ_H

#include "../capi/capi.h"

#include <dirent.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char seeds[256];

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  const char *slash = strrchr((*argv)[0], '/');
  (void)argc;
  snprintf(seeds, sizeof seeds, "tests/fuzz/%s",
           slash != NULL ? slash + 1 : (*argv)[0]);
  return 0;
}

static inline void quiet(void *ud, const char *text, size_t len) {
  (void)ud;
  (void)text;
  (void)len;
}

static inline void plugin_config(neap_config *config) {
  neap_config_init(config);
  config->capabilities = NEAP_CAN_LOAD;
  config->limits.memory = (size_t)2 << 20;
  config->limits.deadline = 0.03;
  config->limits.slice = 0.002;
  config->limits.tasks = 100;
  config->limits.output = 4096;
  config->report = quiet;
  config->output = quiet;
  config->module_path = own_modules();
#if defined(__SANITIZE_THREAD__)
  config->signal = -1; /* it holds signals back */
#endif
}

static void run_file(const char *path) {
  static uint8_t data[1 << 16];
  FILE *file = fopen(path, "rb");
  size_t size;
  assert_non_null(file);
  size = fread(data, 1, sizeof data, file);
  (void)fclose(file);
  print_message("# %s\n", path); /* the last one is the one that crashed */
  assert_int_equal(LLVMFuzzerTestOneInput(data, size), 0);
}

static void every_seed_runs(void **state) {
  DIR *folder = opendir(seeds);
  struct dirent *entry;
  int n = 0;
  (void)state;
  assert_non_null(folder);
  while ((entry = readdir(folder)) != NULL) {
    char path[sizeof seeds + 1 + sizeof entry->d_name];
    if (entry->d_name[0] == '.')
      continue;
    snprintf(path, sizeof path, "%s/%s", seeds, entry->d_name);
    run_file(path);
    n++;
  }
  assert_int_equal(closedir(folder), 0);
  assert_true(n > 0);
}

/* libFuzzer brings a main that is stronger. */
__attribute__((weak)) int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_seed_runs)};
  LLVMFuzzerInitialize(&argc, &argv);
  if (argc == 1)
    return cmocka_run_group_tests_name(seeds, tests, NULL, NULL);
  for (int i = 1; i < argc; i++)
    run_file(argv[i]);
  return 0;
}

#endif
