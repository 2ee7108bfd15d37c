"""Power loss: what a real run had promised, against every state its disk may be in after a cut."""
