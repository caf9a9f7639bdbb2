/*
** options.h - the command line: what was asked for, and the texts that
** describe it.
*/
#ifndef NEAP_CLI_OPTIONS_H
#define NEAP_CLI_OPTIONS_H

#include <stdio.h>

/* What neap__option_next can find; short options are their own letter. */
enum {
  NEAP__OPTION_END = 0,  /* no option: a script's name, "-", or the end */
  NEAP__OPTION_BAD = -1, /* unknown, or its argument is missing */
  NEAP__OPTION_HELP = 256,
  NEAP__OPTION_VERSION,
  NEAP__OPTION_DEBUG
};

/* The command line. `argv` belongs to the caller. */
typedef struct neap__options {
  char **argv;     /* the words, NULL behind the last */
  int argc;        /* how many; the program's own name counts */
  int script;      /* index of the script's name; argc: there is none */
  int bad;         /* index of the option that is wrong, or 0 */
  int help;        /* --help: show it and stop */
  int release;     /* --version: show it and stop */
  int version;     /* -v, or -i which implies it */
  int interactive; /* -i */
  int execute;     /* -e, at least one */
  int ignore_env;  /* -E */
  int debug;       /* --debug */
} neap__options;

/*
** Reads the option at argv[*at] and moves *at behind it and its argument.
** Returns its letter or one of NEAP__OPTION_*. END moves *at only over
** "--"; BAD leaves it alone. `*argument` is set for -e and -l.
*/
int neap__option_next(char **argv, int *at, const char **argument);

/*
** Fills `options`. Stops at the first option that is wrong, --help or
** --version. Returns 0, or NEAP_EINVAL with `bad` set.
*/
int neap__options_parse(neap__options *options, int argc, char **argv);

/* Tells on stderr what is wrong with the option `bad`, and the usage. */
void neap__options_complain(const char *program, const char *bad);

/* Writes the answer to --help. */
void neap__options_help(FILE *out, const char *program);

#endif
