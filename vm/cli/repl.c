/*
** repl.c - reads, evaluates and prints, line by line.
**
** A line is tried as an expression first, then as a statement, and while
** it is a statement's beginning the next line is put behind it.
** The stack holds nothing but the line or chunk at work, at index 1.
*/
#include "repl.h"

#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include <lauxlib.h>

#define CHUNK_NAME "=stdin"

/* loadline: standard input has ended; no status of Lua is negative */
#define NO_INPUT (-1)

/* Pushes the prompt: the global of that name as text, or the default. */
static const char *push_prompt(lua_State *L, const char *global,
                               const char *otherwise) {
  const char *prompt;
  if (lua_getglobal(L, global) == LUA_TNIL) {
    lua_pop(L, 1);
    return lua_pushstring(L, otherwise);
  }
  prompt = luaL_tolstring(L, -1, NULL);
  lua_remove(L, -2);
  return prompt;
}

/*
** Shows the prompt, reads a line and pushes it, without its newline.
** Returns 0, with nothing pushed, when there is none.
*/
static int push_line(neap__runner *runner, lua_State *L, int first) {
  ssize_t length;
  const char *prompt = first ? push_prompt(L, "_PROMPT", "> ")
                             : push_prompt(L, "_PROMPT2", ">> ");
  fputs(prompt, stdout);
  fflush(stdout);
  lua_pop(L, 1);
  length = getline(&runner->line, &runner->line_size, stdin);
  if (length < 0)
    return 0;
  if (length > 0 && runner->line[length - 1] == '\n')
    length--;
  if (first && length > 0 && runner->line[0] == '=') { /* "=1+1"? */
    lua_pushliteral(L, "return ");
    lua_pushlstring(L, runner->line + 1, (size_t)length - 1);
    lua_concat(L, 2);
  } else {
    lua_pushlstring(L, runner->line, (size_t)length);
  }
  return 1;
}

/* Loads the line at index 1 as an expression; when it is none, pushes
   nothing. */
static int load_expression(lua_State *L) {
  size_t length;
  const char *code;
  int status;
  lua_pushliteral(L, "return ");
  lua_pushvalue(L, 1);
  lua_pushliteral(L, ";");
  lua_concat(L, 3);
  code = lua_tolstring(L, -1, &length);
  status = luaL_loadbuffer(L, code, length, CHUNK_NAME);
  lua_remove(L, 2); /* the code */
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

/*
** Loads the line at index 1 as a statement, with as many lines more as it
** needs. When input ends before the statement does, the syntax error
** stands.
*/
static int load_statement(neap__runner *runner, lua_State *L) {
  for (;;) {
    size_t length;
    const char *code = lua_tolstring(L, 1, &length);
    int status = luaL_loadbuffer(L, code, length, CHUNK_NAME);
    if (!is_incomplete(L, status) || !push_line(runner, L, 0))
      return status;
    lua_remove(L, 2); /* the message */
    lua_pushliteral(L, "\n");
    lua_insert(L, 2);
    lua_concat(L, 3);
  }
}

/* Reads and loads: leaves the chunk, or the message, as the only value. */
static int load_line(neap__runner *runner, lua_State *L) {
  int status;
  lua_settop(L, 0);
  if (!push_line(runner, L, 1))
    return NO_INPUT;
  status = load_expression(L);
  if (status != LUA_OK)
    status = load_statement(runner, L);
  lua_remove(L, 1); /* the line */
  return status;
}

/* Prints what is on the stack, with the global `print`. */
static void print_results(lua_State *L) {
  int count = lua_gettop(L);
  if (count == 0)
    return;
  luaL_checkstack(L, LUA_MINSTACK, "too many results to print");
  lua_getglobal(L, "print");
  lua_insert(L, 1);
  if (lua_pcall(L, count, 0, 0) != LUA_OK)
    neap__chunk_message(NULL, lua_pushfstring(L, "error calling 'print' (%s)",
                                              lua_tostring(L, -1)));
}

void neap__repl_run(neap__runner *runner, lua_State *L) {
  const char *name = runner->name;
  int status;
  runner->name = NULL; /* no program's name before what the user sees here */
  while (!runner->exits && (status = load_line(runner, L)) != NO_INPUT) {
    if (status == LUA_OK)
      status = neap__chunk_call(runner, L, 0, LUA_MULTRET);
    if (status == LUA_OK)
      print_results(L);
    else
      neap__chunk_report(runner, L, status);
  }
  lua_settop(L, 0);
  if (!runner->exits)
    fputs("\n", stdout); /* the shell's prompt goes to a line of its own */
  fflush(stdout);
  runner->name = name;
}
