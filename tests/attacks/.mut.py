import sys,glob,pathlib
rel,old,new=sys.argv[1:4]
f=pathlib.Path(glob.glob("/usr/lib/ipa-tpi/venv/lib/python3*/site-packages/ipa_tpi")[0])/rel
b=pathlib.Path(str(f)+".orig")
if rel and old:
    s=f.read_text(); b.write_text(s)
    assert old in s, "not found"
    f.write_text(s.replace(old,new,1))
else:
    for b in f.parent.rglob("*.orig") if False else pathlib.Path(glob.glob("/usr/lib/ipa-tpi/venv/lib/python3*/site-packages/ipa_tpi")[0]).rglob("*.orig"):
        pathlib.Path(str(b)[:-5]).write_text(b.read_text()); b.unlink()
