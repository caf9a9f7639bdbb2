/*
** main.c - the program neap: makes a VM, runs what the command line asks
** for, frees the VM. All that a program of lua's sees is as in lua.
**
** A VM is made after the options are read and before anything runs. All
** that runs, runs inside one protected call.
*/
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

#include "chunk.h"
#include "neap.h"
#include "options.h"
#include "repl.h"
#include "script.h"

/* Lua's collector runs in the mode in which lua's does; but the memory grows
   by so many per cent (there 20) until young objects are collected: each time
   it visits all Lua threads, hence all tasks, anew. */
#define MINOR_GROWTH 75

/*
** Makes sure that descriptors 0, 1 and 2 are open: one that is not would
** go to the next file opened, maybe the event loop's own, and be written
** to by print. The stand-in is open the wrong way round, so that reading
** and writing fail with the same error (EBADF) as before.
*/
static int open_standard_files(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    if (fcntl(fd, F_GETFD) != -1 || errno != EBADF)
      continue;
    /* all lower ones are open: open gives this one */
    if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
      return -1;
  }
  return 0;
}

/*
** Where Neap's own modules are, beside the program: in the build folder
** and where it was installed. NULL when the system does not tell; else
** the caller frees it.
*/
static char *new_module_path(void) {
  static const char format[] = "%s/stdlib;%s/../lib/neap";
  char folder[PATH_MAX];
  char *path;
  size_t size;
  ssize_t length = readlink("/proc/self/exe", folder, sizeof(folder));
  if (length <= 0 || (size_t)length == sizeof(folder)) /* maybe cut off? */
    return NULL;
  while (length > 0 && folder[length - 1] != '/')
    length--;
  if (length == 0) /* no folder? */
    return NULL;
  folder[length - 1] = '\0';
  size = sizeof(format) + 2 * strlen(folder);
  path = malloc(size);
  if (path != NULL)
    snprintf(path, size, format, folder, folder);
  return path;
}

static int wants_debug(const neap__options *options) {
  const char *variable = options->ignore_env ? NULL : getenv("NEAP_DEBUG");
  return options->debug || (variable != NULL && strcmp(variable, "1") == 0);
}

static int new_vm(neap_vm **vm, const neap__options *options) {
  neap_config config;
  char *module_path = new_module_path();
  int result;
  neap_config_init(&config);
  config.capabilities = NEAP_CAN_ALL;
  config.report = neap_report_stderr;
  config.module_path = module_path;
  config.debug = wants_debug(options);
  config.ignore_env = options->ignore_env;
  result = neap_new(vm, &config);
  free(module_path);
  return result;
}

static void print_version(void) {
  puts(LUA_COPYRIGHT);
  fflush(stdout); /* before anything that a program writes to stderr */
}

/*
** Does all that was asked for; called in protected mode, with the options
** and the runner as arguments. The exit status is EXIT_FAILURE until the
** end is reached, or what chunk.c makes of an error.
*/
static int run_program(lua_State *L) {
  const neap__options *options = lua_touserdata(L, 1);
  neap__runner *runner = lua_touserdata(L, 2);
  int named = options->script < options->argc; /* there is a script */
  luaL_checkversion(L);
  if (options->version)
    print_version();
  neap__script_setarg(L, options);
  lua_gc(L, LUA_GCGEN, MINOR_GROWTH, 0);
  if (!options->ignore_env && neap__script_init(runner, L) != LUA_OK)
    return 0;
  if (neap__script_options(runner, L, options) != LUA_OK)
    return 0;
  if (named && neap__script_named(runner, L, options) != LUA_OK)
    return 0;
  if (options->interactive) {
    neap__repl_run(runner, L);
  } else if (!named && !options->execute && !options->version) {
    if (isatty(STDIN_FILENO)) { /* nothing asked for: a user to talk to? */
      print_version();
      neap__repl_run(runner, L);
    } else {
      neap__script_stdin(runner, L);
      if (runner->status == NEAP__EXIT_INTERRUPTED)
        return 0; /* any other error, reported as it is, ends lua with 0 */
    }
  }
  if (!runner->exits)
    runner->status = EXIT_SUCCESS;
  return 0;
}

/* Makes a VM, runs the program in it, frees it. Returns the exit status. */
static int run_in_vm(const char *name, neap__options *options) {
  neap__runner runner = {NULL, name, EXIT_FAILURE, 0, 0, 0};
  lua_State *L;
  int result = new_vm(&runner.vm, options);
  if (result != NEAP_OK) {
    fprintf(stderr, "%s: cannot create state: %s\n", name,
            neap_strerror(result));
    return EXIT_FAILURE;
  }
  L = neap_lua(runner.vm);
  lua_pushcfunction(L, run_program);
  lua_pushlightuserdata(L, options);
  lua_pushlightuserdata(L, &runner);
  neap__chunk_report(&runner, L, lua_pcall(L, 2, 0, 0));
  result = neap_close(runner.vm, NULL, NULL);
  if (result != NEAP_OK) {
    fprintf(stderr, "%s: cannot close state: %s\n", name,
            neap_strerror(result));
    runner.status = EXIT_FAILURE;
  }
  if (runner.signal != 0) {
    fflush(stdout); /* what the cleanup of tasks has printed */
    raise(runner.signal); /* whoever waits for us is to know */
  }
  return runner.status;
}

int main(int argc, char **argv) {
  neap__options options;
  const char *name = "neap";
  if (open_standard_files() != 0)
    return EXIT_FAILURE; /* and there may be no stderr to say so */
  if (argc > 0 && argv[0][0] != '\0')
    name = argv[0];
  if (neap__options_parse(&options, argc, argv) != NEAP_OK) {
    neap__options_complain(name, argv[options.bad]);
    return EXIT_FAILURE;
  }
  if (options.help) {
    neap__options_help(stdout, name);
    return EXIT_SUCCESS;
  }
  if (options.release) {
    printf("Neap %s (%s, libuv %s)\n", NEAP_VERSION, LUA_RELEASE,
           uv_version_string());
    return EXIT_SUCCESS;
  }
  return run_in_vm(name, &options);
}
