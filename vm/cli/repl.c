/*
** repl.c - reads, evaluates and prints, line by line.
**
** A line is tried as an expression first, then as a statement, and while
** it is a statement's beginning the next line is put behind it.
** The stack holds nothing but the line or chunk at work, at index 1.
*/
#include "repl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>

#include "evaluate.h"
#include "tasks.h"
#include "terminal.h"
#include "turn.h"

#define CHUNK_NAME "=stdin"
#define MOST_FAILURES 3 /* to read a line, of memory, one after the other */

/* No line: standard input has ended, or the user has thought better of it.
   No status of Lua is negative. */
#define NO_INPUT (-1)
#define DISCARDED (-3)

/* Lua: the prompt: the global of that name as text, or the default */
static int prompt(lua_State *L) {
  if (lua_getglobal(L, lua_tostring(L, 1)) != LUA_TNIL)
    luaL_tolstring(L, -1, NULL);
  else
    lua_pushvalue(L, 2);
  return 1;
}

/* Pushes the prompt. Metamethods may raise: without the editor that ends the
   program, as it does lua; with it, there is the default. */
static void push_prompt(neap__runner *runner, lua_State *L, const char *global,
                        const char *otherwise) {
  lua_pushcfunction(L, prompt);
  lua_pushstring(L, global);
  lua_pushstring(L, otherwise);
  if (neap__turn_call(runner, L, 2, 1) != LUA_OK) {
    if (!runner->edits)
      (void)lua_error(L);
    lua_pop(L, 1);
    lua_pushstring(L, otherwise);
  }
}

/* Whether a read of standard input finds bytes that stdio has already: then
   there is nothing for poll to see. Where that cannot be known, it is taken
   for granted, and tasks stand still while a line is awaited. */
static int has_buffered(void) {
#if defined(__GLIBC__)
  return stdin->_IO_read_ptr < stdin->_IO_read_end;
#else
  return 1;
#endif
}

/* Lets tasks run until there is something to read; or returns what a signal
   asks for. */
static int wait_for_input(neap__runner *runner, lua_State *L) {
  int event = NEAP__INPUT;
  do {
    if (!has_buffered())
      event = neap__turn(runner, STDIN_FILENO, -1);
  } while (!runner->exits && (event == 0 || event == SIGWINCH));
  if (runner->exits)
    return NO_INPUT;
  if (event == SIGINT && isatty(STDIN_FILENO)) {
    fputs("\n", stdout); /* the terminal has forgotten the line */
    neap__tasks_interrupted(L);
    return DISCARDED;
  }
  if (event != NEAP__INPUT) {
    runner->signal = event;
    return NO_INPUT;
  }
  return LUA_OK;
}

/* Shows the prompt at the top, popped, and reads a line, which it pushes,
   without its newline. Tasks run also while it comes in pieces. */
static int plain_read(neap__runner *runner, lua_State *L) {
  luaL_Buffer line;
  int c, status;
  fputs(lua_tostring(L, -1), stdout);
  fflush(stdout);
  lua_pop(L, 1);
  luaL_buffinit(L, &line);
  while ((status = wait_for_input(runner, L)) == LUA_OK) {
    errno = 0;
    c = getc(stdin);
    if (c == '\n')
      break;
    if (c != EOF) {
      luaL_addchar(&line, (char)c);
      continue;
    }
    clearerr(stdin); /* a terminal may go on behind an end */
    if (errno == EINTR || errno == EAGAIN)
      continue;
    if (luaL_bufflen(&line) == 0)
      status = NO_INPUT;
    break;
  }
  luaL_pushresult(&line);
  if (status != LUA_OK)
    lua_pop(L, 1);
  return status;
}

/* The same with the line editor. */
static int edited_read(lua_State *L, int first) {
  if (neap__terminal_read(L, first ? 0 : 1))
    return LUA_OK;
  if (strcmp(lua_tostring(L, -1), "interrupt") != 0) {
    lua_pop(L, 1);
    return NO_INPUT;
  }
  lua_pop(L, 1);
  neap__tasks_interrupted(L);
  return DISCARDED;
}

/*
** Shows the prompt, reads a line and pushes it. Returns LUA_OK; or NO_INPUT
** or DISCARDED, with nothing pushed.
*/
static int push_line(neap__runner *runner, lua_State *L, int first) {
  size_t length;
  const char *line;
  int status;
  if (first)
    push_prompt(runner, L, "_PROMPT", "> ");
  else
    push_prompt(runner, L, "_PROMPT2", ">> ");
  status = runner->edits ? edited_read(L, first)
                         : plain_read(runner, L);
  if (status != LUA_OK)
    return status;
  line = lua_tolstring(L, -1, &length);
  if (first && length > 0 && line[0] == '=') { /* "=1+1"? */
    lua_pushliteral(L, "return ");
    lua_pushlstring(L, line + 1, length - 1);
    lua_concat(L, 2);
    lua_remove(L, -2);
  }
  return LUA_OK;
}

/* Loads the line at index 1 between "return" and `ending`; pushes the chunk,
   or the message. */
static int load_returned(lua_State *L, const char *ending) {
  size_t length;
  const char *code;
  int status;
  lua_pushliteral(L, "return ");
  lua_pushvalue(L, 1);
  lua_pushstring(L, ending);
  lua_concat(L, 3);
  code = lua_tolstring(L, -1, &length);
  status = luaL_loadbuffer(L, code, length, CHUNK_NAME);
  lua_remove(L, -2); /* the code */
  return status;
}

/* Loads the line at index 1 as an expression; when it is none, pushes
   nothing. */
static int load_expression(lua_State *L) {
  int status = load_returned(L, ";");
  if (status != LUA_OK)
    lua_pop(L, 1); /* the message: of no use, it may be a statement */
  return status;
}

/* Is the error on the stack about code that stops too early? */
static int is_incomplete(lua_State *L, int status) {
  static const char mark[] = "<eof>";
  const size_t mark_length = sizeof(mark) - 1;
  size_t length;
  const char *text;
  if (status != LUA_ERRSYNTAX)
    return 0;
  text = lua_tolstring(L, -1, &length);
  return text != NULL && length >= mark_length &&
         strcmp(text + length - mark_length, mark) == 0;
}

/* Is the line at index 1 an expression that stops too early? */
static int begins_expression(lua_State *L) {
  int begins = is_incomplete(L, load_returned(L, ""));
  lua_pop(L, 1);
  return begins;
}

/*
** Loads the line at index 1 as a statement, with as many lines more as it
** needs; with the editor also as an expression of several lines, which lua
** has no ear for. When input ends before that does, the syntax error stands.
*/
static int load_statement(neap__runner *runner, lua_State *L) {
  for (;;) {
    size_t length;
    const char *code = lua_tolstring(L, 1, &length);
    int status = luaL_loadbuffer(L, code, length, CHUNK_NAME);
    int read;
    if (!is_incomplete(L, status) &&
        !(status == LUA_ERRSYNTAX && runner->edits && begins_expression(L)))
      return status;
    read = push_line(runner, L, 0);
    if (read == NO_INPUT)
      return status;
    if (read == DISCARDED)
      return read;
    lua_remove(L, 2); /* the message */
    lua_pushliteral(L, "\n");
    lua_insert(L, 2);
    lua_concat(L, 3);
    if (runner->edits && load_expression(L) == LUA_OK)
      return LUA_OK;
  }
}

/* Reads and loads: leaves the chunk, or the message, as the only value. */
static int load_line(neap__runner *runner, lua_State *L) {
  int status;
  lua_settop(L, 0);
  status = push_line(runner, L, 1);
  if (status != LUA_OK)
    return status;
  if (!runner->edits || !neap__terminal_command(runner, L, 1)) {
    status = load_expression(L);
    if (status != LUA_OK)
      status = load_statement(runner, L);
  }
  if (runner->edits && status != DISCARDED)
    neap__terminal_remember(runner, L, 1);
  lua_remove(L, 1); /* the line */
  return status;
}

/* Prints what is on the stack, with the global `print`. */
static void print_results(neap__runner *runner, lua_State *L) {
  int count = lua_gettop(L);
  if (count == 0)
    return;
  luaL_checkstack(L, LUA_MINSTACK, "too many results to print");
  lua_getglobal(L, "print");
  lua_insert(L, 1);
  if (neap__turn_call(runner, L, count, 0) != LUA_OK)
    neap__chunk_message(NULL, lua_pushfstring(L, "error calling 'print' (%s)",
                                              lua_tostring(L, -1)));
}

static int is_over(const neap__runner *runner) {
  return runner->exits || runner->signal != 0;
}

/* Lua: one line, or several; -> whether there was one */
static int run_line(lua_State *L) {
  neap__runner *runner = lua_touserdata(L, 1);
  int status = load_line(runner, L);
  int read = status != NO_INPUT;
  if (status == LUA_OK)
    status = neap__evaluate(runner, L);
  if (status == LUA_OK && runner->edits)
    neap__terminal_show(runner, L);
  else if (status == LUA_OK)
    print_results(runner, L);
  else if (status > LUA_OK)
    neap__chunk_report(runner, L, status);
  lua_pushboolean(L, read);
  return 1;
}

/* Runs lines until there are no more. Where memory is short, the next one may
   free some, if it can be read. */
static void run_lines(neap__runner *runner, lua_State *L) {
  int failures = 0, read = 1;
  while (read && !is_over(runner)) {
    int status;
    lua_pushcfunction(L, run_line);
    lua_pushlightuserdata(L, runner);
    status = lua_pcall(L, 1, 1, 0);
    failures = status == LUA_OK ? 0 : failures + 1;
    if (status != LUA_OK && (status != LUA_ERRMEM || failures > MOST_FAILURES))
      lua_error(L);
    if (neap__chunk_report(runner, L, status) == LUA_OK) {
      read = lua_toboolean(L, -1);
      lua_pop(L, 1);
    }
    if (status == LUA_ERRMEM)
      lua_gc(L, LUA_GCCOLLECT, 0);
    (void)neap__turn_open(runner); /* cannot fail: it is open */
  }
}

void neap__repl_run(neap__runner *runner, lua_State *L) {
  const char *name = runner->name;
  if (neap__turn_open(runner) != 0)
    luaL_error(L, "no file descriptors are left");
  runner->name = NULL; /* no program's name before what the user sees here */
  runner->edits = neap__terminal_open(runner, L);
  if (runner->edits) /* else all is as in lua */
    puts("Neap " NEAP_VERSION ". Type \".help\" for more information.");
  run_lines(runner, L);
  lua_settop(L, 0);
  if (!is_over(runner))
    fputs("\n", stdout); /* the shell's prompt goes to a line of its own */
  fflush(stdout);
  neap__tasks_end(runner, L);
  if (runner->edits)
    neap__terminal_close(L);
  neap__turn_close(runner);
  runner->name = name;
}
