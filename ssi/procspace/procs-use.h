/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What a process uses, as it travels: field i of a row has bit i of the row's mask. Both ends hold what was told last, and what travels is the difference, so
 * that a process that only computes costs five bytes a second. The commonest come first: a mask below 128 is one byte.
 */
#include <stddef.h>
#include <stdint.h>
#include "libssi/model/proctable.h"

enum ssi_procs_use { SSI_USE_UTIME, SSI_USE_STIME, SSI_USE_RSS, SSI_USE_MINFLT, SSI_USE_PROCESSOR, SSI_USE_STATE, SSI_USE_VSIZE, SSI_USE_MAJFLT,
	SSI_USE_THREADS,
	SSI_USE_CUTIME, SSI_USE_CSTIME, SSI_USE_SHARED, SSI_USE_DATA, SSI_USE_SWAP, SSI_USES };

/* In the units that travel: sizes in KiB. */
uint64_t ssi_procs_use_get(const struct ssi_process *p, enum ssi_procs_use what);
void ssi_procs_use_set(struct ssi_process *p, enum ssi_procs_use what, uint64_t value);
static inline uint64_t ssi_procs_zigzag(uint64_t change) { return (change << 1) ^ -(change >> 63); }
static inline uint64_t ssi_procs_unzigzag(uint64_t z) { return (z >> 1) ^ -(z & 1); }
