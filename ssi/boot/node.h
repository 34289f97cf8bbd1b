/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The boot dialogue (doc/wire.md, module 1), the booting machine's side. Blocking, with a bound on every call; for children of
 * ssi-init. Links no event loop.
 */
#include <stdint.h>
#include "libssi/base/err.h"
#include "libssi/comm/ccm.h"
#include "libssi/model/bootargs.h"
#include "ssi/boot/stage.h"

/*
 * Trade this boot's one-time token for the node's keys. Connects to a->master, all within timeout_ms.
 * -EKEYREVOKED: the token was used before; -EKEYREJECTED: the master knows no such boot or token; both are for good: another try
 * cannot help, only a new boot. Anything else (no route, refused, timed out) is worth another try.
 */
int ssi_boot_exchange_token(const struct ssi_bootargs *a, unsigned timeout_ms, struct ssi_boot_keys *ret, struct ssi_err *e);

/*
 * A connection to report on: with the node's key when there is one, else (key NULL) with the token, which is not used up by it.
 * Hang up with ssi_ccm_hangup.
 */
int ssi_boot_report_dial(const struct ssi_bootargs *a, const uint8_t key[SSI_CCM_KEY], unsigned timeout_ms, struct ssi_ccm_line **ret,
			 struct ssi_err *e);
/* A stage that ended; start and end in ms of CLOCK_BOOTTIME. */
int ssi_boot_report_stage(struct ssi_ccm_line *l, const char *name, uint64_t start_ms, uint64_t end_ms, uint32_t tries, unsigned timeout_ms,
			  struct ssi_err *e);
/* A stage that failed for good: what, what next, and when it reboots. */
int ssi_boot_report_failed(struct ssi_ccm_line *l, const char *stage, const char *text, const char *next, uint32_t delay_s, unsigned timeout_ms,
			   struct ssi_err *e);
