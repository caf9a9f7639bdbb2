/*
** warn.c - Lua's warnings: off at first, "@on" and "@off" switch them, and
** a whole message goes to the host's report handler, or to stderr.
*/
#include "warn.h"

#include <string.h>

/* Appends a piece. Without memory the message is cut, never lost whole. */
static void add(neap_vm *vm, const char *piece) {
  size_t len = strlen(piece), needed = vm->warning_len + len;
  if (needed > vm->warning_size) {
    size_t size = needed < 120 ? 120 : needed * 2;
    char *text = (char *)neap__alloc(vm, vm->warning, vm->warning_size, size);
    if (text == NULL)
      len = vm->warning_size - vm->warning_len;
    else {
      vm->warning = text;
      vm->warning_size = size;
    }
  }
  if (len > 0)
    memcpy(vm->warning + vm->warning_len, piece, len);
  vm->warning_len += len;
}

/* A message that begins with '@', in one piece, is for us. */
static void control(neap_vm *vm, const char *message) {
  if (strcmp(message, "@on") == 0)
    vm->warnings_on = 1;
  else if (strcmp(message, "@off") == 0)
    vm->warnings_on = 0;
}

static void warn(void *ud, const char *piece, int to_be_continued) {
  neap_vm *vm = (neap_vm *)ud;
  int first = vm->warning_len == 0;
  if (first && !to_be_continued && *piece == '@') {
    control(vm, piece);
    return;
  }
  if (!vm->warnings_on)
    return;
  if (first)
    add(vm, "Lua warning: ");
  add(vm, piece);
  if (!to_be_continued) {
    neap__report_text(vm, vm->warning != NULL ? vm->warning : "",
                      vm->warning_len);
    vm->warning_len = 0;
  }
}

void neap__warn_init(neap_vm *vm) { lua_setwarnf(vm->main, warn, vm); }
