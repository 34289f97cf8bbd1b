/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What a process that could not be started says, over the pipe that its execve would have closed. */
struct start_failure { int error; char what[128]; };
