/*
** 1-smallest.c - the smallest host: runs one script, and prints its errors.
**
**     1-smallest [script.lua]
**
** A VM is made, a script loaded into it and started as a task; neap_run
** then runs it, and what tasks it creates, to the end. As the configuration
** says nothing else the VM is a sandbox: the script can reach no file, no
** network, no process.
*/
#include <neap.h>

#include <stdio.h>
#include <stdlib.h>

/* What runs without an argument. A script that is started as a task may
   await outside of any function. */
static const char *const greeting =
    "print 'hello'\n"
    "await(sleep(0.01))\n"
    "print 'hello again'\n";

/* Prints what the VM says of its last failure. */
static void print_error(neap_vm *vm) {
  neap_error_info error;
  neap_error(vm, &error);
  fprintf(stderr, "%s%s\n", error.message, error.traceback);
}

/* The script has ended. (Or neap_close has found it unfinished: then
   neap_run has failed before, and that was told.) */
static void ended(void *ud, neap_vm *vm, int status, const neap_value *results,
                  int nresults) {
  int *failed = (int *)ud;
  (void)results;
  (void)nresults;
  *failed = status != NEAP_OK;
  if (*failed && status != NEAP_ECLOSED)
    print_error(vm);
}

/* Runs a script in a VM of its own. Returns what main will. */
static int run(const char *name, const char *text, size_t size) {
  neap_config config;
  neap_vm *vm;
  neap_value script;
  int failed = 0;
  int status;
  neap_config_init(&config);
  config.report = neap_report_stderr; /* warnings */
  status = neap_new(&vm, &config);
  if (status != NEAP_OK) { /* there is no VM to ask */
    fprintf(stderr, "%s\n", neap_strerror(status));
    return EXIT_FAILURE;
  }
  if (neap_load(vm, name, text, size, &script) != NEAP_OK ||
      neap_spawn(vm, &script, NULL, 0, 0, ended, &failed, NULL) != NEAP_OK ||
      neap_run(vm) != NEAP_OK) {
    print_error(vm);
    failed = 1;
  }
  if (neap_close(vm, NULL, NULL) != NEAP_OK)
    failed = 1;
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The bytes of a file, to be freed; NULL: it cannot be read. */
static char *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  char *text = NULL;
  long length;
  if (file == NULL)
    return NULL;
  if (fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) >= 0 &&
      fseek(file, 0, SEEK_SET) == 0 &&
      (text = (char *)malloc((size_t)length + 1)) != NULL &&
      (*size = fread(text, 1, (size_t)length, file)) != (size_t)length) {
    free(text);
    text = NULL;
  }
  fclose(file);
  return text;
}

int main(int argc, char **argv) {
  int status;
  size_t size = 0;
  char *text;
  if (argc < 2)
    return run("greeting", greeting, strlen(greeting));
  text = read_file(argv[1], &size);
  if (text == NULL) {
    perror(argv[1]);
    return EXIT_FAILURE;
  }
  status = run(argv[1], text, size);
  free(text);
  return status;
}
