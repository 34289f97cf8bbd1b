/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The systemd unit of the daemon, for "start": where systemd runs the host, it is to run the daemon too. */
#include "libssi/base/err.h"

#define UNIT_NAME "ssi-bootsvc.service"

/* Does systemd run here, and does it know the unit? */
int unit_known(void);
/* Start it and wait until it is ready; 0, or what systemctl said in e. */
int unit_start(struct ssi_err *e);
