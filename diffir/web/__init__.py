"""The page in the browser: ``diffir web`` restores photos from files that are dropped on a page of this machine."""
