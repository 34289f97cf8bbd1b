/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Numbered messages between two stations of one process, and the account of them. Each stream (direction, module, sequence) counts its
 * messages from 0; who receives one compares its number with what must be next: a larger one means that some were lost or overtaken, a
 * smaller one that it came twice. Bodies are made from the number and compared byte for byte.
 *
 *   module 1   received by ssi_ccm_brecv, a thread for each sequence
 *   module 2   received by ssi_ccm_brecv with SSI_CCM_NOSEQ, one thread for all sequences
 *   module 3   received by ssi_ccm_arecv, from the callback arrived()
 *   module 4   short calls (ssi_ccm_rcall_short), each with a handler of its own for the sequence's stream
 *   module 5   calls that are answered (ssi_ccm_call, long): the answer repeats the body
 */
#include <stdbool.h>
#include <stdint.h>
#include "libssi/comm/station.h"

#define TRAFFIC_MODULES 5
#define TRAFFIC_STREAMS 3            /* sequences of a module */

struct traffic;

struct traffic_plan {
	uint64_t messages;                   /* in all, both directions together */
	uint64_t seed;
	uint16_t (*through)(uint16_t port, void *userdata);      /* where the first is to connect, so that it gets to that port */
	void *userdata;
	bool plain;
	unsigned dead_ms;
	unsigned quiet_ms;                   /* nothing arrived for so long: it has failed */
};

struct traffic_result {
	uint64_t sent, received, lost, twice, wrong, failed;     /* wrong: another body; failed: calls of the interface */
	uint64_t gone;                       /* times that a session was given up */
	struct ssi_ccm_station_stats stats[2];
	double seconds;
};

/* Makes the stations, sends, waits until all was received or nothing comes any more. 0, or -errno when the stations cannot be made. */
int traffic_run(const struct traffic_plan *plan, struct traffic_result *ret, struct ssi_err *e);
