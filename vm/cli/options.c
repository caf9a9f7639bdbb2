/*
** options.c - reads the command line and describes it.
**
** The grammar is the one of lua: an option is one word, only -e and -l
** take an argument, in the same word or the next, and a next word that
** begins with '-' is no argument.
*/
#include "options.h"

#include <string.h>

#include "neap.h"

/* One line of a list: how a thing is written, what it does. */
typedef struct neap__option_text {
  const char *form;
  const char *does;
} neap__option_text;

/* Those of lua, in its order and words: the usage is the same. */
static const neap__option_text lua_options[] = {
  {"-e stat", "execute string 'stat'"},
  {"-i", "enter interactive mode after executing 'script'"},
  {"-l mod", "require library 'mod' into global 'mod'"},
  {"-l g=mod", "require library 'mod' into global 'g'"},
  {"-v", "show version information"},
  {"-E", "ignore environment variables"},
  {"-W", "turn warnings on"},
  {"--", "stop handling options"},
  {"-", "stop handling options and execute stdin"},
  {NULL, NULL}
};

static const neap__option_text own_options[] = {
  {"--debug", "report slow steps and where lost coroutines come from"},
  {"--help", "show this text and exit"},
  {"--version", "show the versions of Neap, Lua and libuv and exit"},
  {NULL, NULL}
};

static const neap__option_text variables[] = {
  {"LUA_INIT", "Lua code, or @file, to run before anything else"},
  {"LUA_PATH", "where 'require' looks for Lua modules"},
  {"LUA_CPATH", "where 'require' looks for C modules"},
  {"NEAP_DEBUG", "1: the same as --debug"},
  {"NO_COLOR", "if not empty: no colours in interactive mode"},
  {NULL, NULL}
};

static void write_texts(FILE *out, const neap__option_text *text, int width) {
  for (; text->form != NULL; text++)
    fprintf(out, "  %-*s%s\n", width, text->form, text->does);
}

static int long_option(const char *word) {
  if (strcmp(word, "--help") == 0)
    return NEAP__OPTION_HELP;
  if (strcmp(word, "--version") == 0)
    return NEAP__OPTION_VERSION;
  if (strcmp(word, "--debug") == 0)
    return NEAP__OPTION_DEBUG;
  return NEAP__OPTION_BAD;
}

int neap__option_next(char **argv, int *at, const char **argument) {
  const char *word = argv[*at];
  int option;
  if (word == NULL || word[0] != '-' || word[1] == '\0')
    return NEAP__OPTION_END; /* all read, a script, or stdin as script */
  if (strcmp(word, "--") == 0) {
    *at += 1;
    return NEAP__OPTION_END;
  }
  option = (unsigned char)word[1];
  switch (option) {
  case 'e':
  case 'l':
    if (word[2] != '\0') { /* argument in the same word? */
      *argument = word + 2;
      break;
    }
    if (argv[*at + 1] == NULL || argv[*at + 1][0] == '-')
      return NEAP__OPTION_BAD; /* none, or another option */
    *argument = argv[*at + 1];
    *at += 1;
    break;
  case 'i':
  case 'v':
  case 'E':
  case 'W':
    if (word[2] != '\0') /* options cannot be put together */
      return NEAP__OPTION_BAD;
    break;
  case '-':
    option = long_option(word);
    if (option == NEAP__OPTION_BAD)
      return NEAP__OPTION_BAD;
    break;
  default:
    return NEAP__OPTION_BAD;
  }
  *at += 1;
  return option;
}

int neap__options_parse(neap__options *options, int argc, char **argv) {
  const char *argument;
  int at = argc > 0; /* argv[0], the program's name, is no option */
  memset(options, 0, sizeof(*options));
  options->argv = argv;
  options->argc = argc;
  for (;;) {
    switch (neap__option_next(argv, &at, &argument)) {
    case NEAP__OPTION_END:
      options->script = at;
      return NEAP_OK;
    case NEAP__OPTION_BAD:
      options->bad = at;
      return NEAP_EINVAL;
    case NEAP__OPTION_HELP:
      options->help = 1;
      return NEAP_OK;
    case NEAP__OPTION_VERSION:
      options->release = 1;
      return NEAP_OK;
    case NEAP__OPTION_DEBUG:
      options->debug = 1;
      break;
    case 'i':
      options->interactive = 1;
      options->version = 1;
      break;
    case 'v':
      options->version = 1;
      break;
    case 'e':
      options->execute = 1;
      break;
    case 'E':
      options->ignore_env = 1;
      break;
    default: /* -l and -W do their work in their turn */
      break;
    }
  }
}

void neap__options_complain(const char *program, const char *bad) {
  /* as lua does, by the first letter: "-l" alone needs an argument */
  if (bad[1] == 'e' || bad[1] == 'l')
    fprintf(stderr, "%s: '%s' needs argument\n", program, bad);
  else
    fprintf(stderr, "%s: unrecognized option '%s'\n", program, bad);
  fprintf(stderr, "usage: %s [options] [script [args]]\n"
                  "Available options are:\n", program);
  write_texts(stderr, lua_options, 10);
  fprintf(stderr, "'%s --help' shows all of them\n", program);
}

void neap__options_help(FILE *out, const char *program) {
  fprintf(out, "usage: %s [options] [script [args]]\n"
               "Runs Lua 5.4 programs that may use async and await.\n"
               "Without a script: interactive mode, or the program on "
               "standard input.\n"
               "\nOptions:\n", program);
  write_texts(out, lua_options, 11);
  write_texts(out, own_options, 11);
  fputs("\nEnvironment, unless -E is given:\n", out);
  write_texts(out, variables, 11);
}
