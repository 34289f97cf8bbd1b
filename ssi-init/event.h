/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What happens on this node and the master should hear: lines "KIND TEXT" in the fifo /run/ssi/events, which the agent reads and sends on as NodeEvent. */

/* Make the fifo and hold it open both ways, so that lines wait (64 KiB of them) for an agent that is not there yet. */
void event_open(void);
/* Never blocks; a line that finds the fifo full or missing is dropped. kind: root-stalled, root-lost, root-back, service-failed. */
void event_send(const char *kind, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
