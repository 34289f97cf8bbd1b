/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* A remote process as JSON: what the control verb procs answers with and "ssi ps -o json" prints (doc/control.md). */
#include <jansson.h>
#include "libssi/model/proctable.h"

json_t *ssi_procjson(const struct ssi_proctable *t, const struct ssi_proctable_process *p);      /* the caller's; NULL: out of memory */
