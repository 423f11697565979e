"""One upset, exactly: from a fault event to its outcome, through native engine and golden model."""
