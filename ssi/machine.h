/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the verbs about one machine share. */
#include "libssi/base/cmd.h"
#include "libssi/comm/json.h"
#include "libssi/model/mac.h"

/* Ask the daemon for `call` about the machine with this address; 0, its address as it is written everywhere in mac, and *ret, the caller's to free; 2: it is no address, and was told so; else ask()'s status. */
int machine_ask(struct ssi_cmd_args *a, const char *call, const char *address, char mac[SSI_MAC_LEN], json_t **ret);
