/*
** signals.c - the names of signals: "TERM", or "SIGTERM".
*/
#include <signal.h>
#include <string.h>

#include "module.h"

static const struct {
  const char *name;
  int number;
} signals[] = {
#define SIGNAL(name) {#name, SIG##name}
    SIGNAL(HUP),  SIGNAL(INT),    SIGNAL(QUIT), SIGNAL(ILL),  SIGNAL(TRAP),
    SIGNAL(ABRT), SIGNAL(BUS),    SIGNAL(FPE),  SIGNAL(KILL), SIGNAL(USR1),
    SIGNAL(SEGV), SIGNAL(USR2),   SIGNAL(PIPE), SIGNAL(ALRM), SIGNAL(TERM),
    SIGNAL(CHLD), SIGNAL(CONT),   SIGNAL(STOP), SIGNAL(TSTP), SIGNAL(TTIN),
    SIGNAL(TTOU), SIGNAL(URG),    SIGNAL(XCPU), SIGNAL(XFSZ), SIGNAL(VTALRM),
    SIGNAL(PROF), SIGNAL(WINCH),  SIGNAL(IO),   SIGNAL(SYS),
#if defined(SIGSTKFLT)
    SIGNAL(STKFLT),
#endif
#if defined(SIGPWR)
    SIGNAL(PWR),
#endif
#undef SIGNAL
};

#define COUNT (sizeof signals / sizeof *signals)

const char *module_signal_name(int number) {
  size_t i;
  for (i = 0; i < COUNT; i++) {
    if (signals[i].number == number)
      return signals[i].name;
  }
  return NULL;
}

int module_signal(lua_State *L, int arg, const char *function) {
  const char *name = module_path(L, arg, function, "the signal");
  size_t i;
  if (strncmp(name, "SIG", 3) == 0)
    name += 3;
  for (i = 0; i < COUNT; i++) {
    if (strcmp(signals[i].name, name) == 0)
      return signals[i].number;
  }
  return module_refuse(L, "%s: no signal is called '%s'; write \"TERM\", say",
                       function, lua_tostring(L, arg));
}
