/* lwIP runs without threads of its own: everything happens under net_lock. */
