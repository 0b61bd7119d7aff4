"use strict";var St=Object.create;var B=Object.defineProperty;var Lt=Object.getOwnPropertyDescriptor;var At=Object.getOwnPropertyNames;var bt=Object.getPrototypeOf,_t=Object.prototype.hasOwnProperty;var T=(e,t)=>()=>{try{return t||e((t={exports:{}}).exports,t),t.exports}catch(n){throw t=0,n}},It=(e,t)=>{for(var n in t)B(e,n,{get:t[n],enumerable:!0})},ce=(e,t,n,r)=>{if(t&&typeof t=="object"||typeof t=="function")for(let o of At(t))!_t.call(e,o)&&o!==n&&B(e,o,{get:()=>t[o],enumerable:!(r=Lt(t,o))||r.enumerable});return e};var Dt=(e,t,n)=>(n=e!=null?St(bt(e)):{},ce(t||!e||!e.__esModule?B(n,"default",{value:e,enumerable:!0}):n,e)),xt=e=>ce(B({},"__esModule",{value:!0}),e);var w=T(P=>{"use strict";P.getBooleanOption=(e,t)=>{let n=!1;if(t in e&&typeof(n=e[t])!="boolean")throw new TypeError(`Expected the "${t}" option to be a boolean`);return n};P.cppdb=Symbol();P.inspect=Symbol.for("nodejs.util.inspect.custom")});var Q=T((Er,fe)=>{"use strict";var q=class e extends Error{constructor(t,n){if(typeof n!="string")throw new TypeError("Expected second argument to be a string");super(""+t),this.code=n,typeof Error.captureStackTrace=="function"&&Error.captureStackTrace(this,e)}};Object.defineProperty(q.prototype,"name",{value:"SqliteError",writable:!0,enumerable:!1,configurable:!0});fe.exports=q});var pe=T(b=>{"use strict";var{cppdb:S}=w();b.prepare=function(t){return this[S].prepare(t,this,!1,!1)};b.exec=function(t){return this[S].exec(t),this};b.close=function(){return this[S].close(),this};b.loadExtension=function(...t){return this[S].loadExtension(...t),this};b.defaultSafeIntegers=function(...t){return this[S].defaultSafeIntegers(...t),this};b.unsafeMode=function(...t){return this[S].unsafeMode(...t),this};b.getters={name:{get:function(){return this[S].name},enumerable:!0},open:{get:function(){return this[S].open},enumerable:!0},inTransaction:{get:function(){return this[S].inTransaction},enumerable:!0},readonly:{get:function(){return this[S].readonly},enumerable:!0},memory:{get:function(){return this[S].memory},enumerable:!0}}});var ge=T((lr,me)=>{"use strict";var{cppdb:Mt}=w(),Te=new WeakMap;me.exports=function(t){if(typeof t!="function")throw new TypeError("Expected first argument to be a function");let n=this[Mt],r=Ft(n,this),{apply:o}=Function.prototype,s={default:{value:$(o,t,n,r.default)},deferred:{value:$(o,t,n,r.deferred)},immediate:{value:$(o,t,n,r.immediate)},exclusive:{value:$(o,t,n,r.exclusive)},database:{value:this,enumerable:!0}};return Object.defineProperties(s.default.value,s),Object.defineProperties(s.deferred.value,s),Object.defineProperties(s.immediate.value,s),Object.defineProperties(s.exclusive.value,s),s.default.value};var Ft=(e,t)=>{let n=Te.get(e);if(!n){let r={commit:e.prepare("COMMIT",t,!1,!1),rollback:e.prepare("ROLLBACK",t,!1,!1),savepoint:e.prepare("SAVEPOINT `	_bs3.	`",t,!1,!1),release:e.prepare("RELEASE `	_bs3.	`",t,!1,!1),rollbackTo:e.prepare("ROLLBACK TO `	_bs3.	`",t,!1,!1)};Te.set(e,n={default:Object.assign({begin:e.prepare("BEGIN",t,!1,!1)},r),deferred:Object.assign({begin:e.prepare("BEGIN DEFERRED",t,!1,!1)},r),immediate:Object.assign({begin:e.prepare("BEGIN IMMEDIATE",t,!1,!1)},r),exclusive:Object.assign({begin:e.prepare("BEGIN EXCLUSIVE",t,!1,!1)},r)})}return n},$=(e,t,n,{begin:r,commit:o,rollback:s,savepoint:i,release:c,rollbackTo:d})=>function(){let R,p,A;n.inTransaction?(R=i,p=c,A=d):(R=r,p=o,A=s),R.run();try{let O=e.call(t,this,arguments);if(O&&typeof O.then=="function")throw new TypeError("Transaction function cannot return a promise");return p.run(),O}catch(O){throw n.inTransaction&&(A.run(),A!==s&&p.run()),O}}});var Ne=T((fr,Re)=>{"use strict";var{getBooleanOption:Ut,cppdb:kt}=w();Re.exports=function(t,n){if(n==null&&(n={}),typeof t!="string")throw new TypeError("Expected first argument to be a string");if(typeof n!="object")throw new TypeError("Expected second argument to be an options object");let r=Ut(n,"simple"),o=this[kt].prepare(`PRAGMA ${t}`,this,!0,!1);return r?o.pluck().get():o.all()}});var he=T((pr,Oe)=>{"use strict";var{cppdb:vt}=w();Oe.exports=function(t){if(typeof t!="string")throw new TypeError("Expected first argument to be a string");return this[vt].prepare(`EXPLAIN ${t}`,this,!1,!0).all()}});var Se=T((Tr,we)=>{"use strict";var Wt=require("fs"),Bt=require("path"),{promisify:Ht}=require("util"),{cppdb:Pt}=w(),ye=Ht(Wt.access);we.exports=async function(t,n){if(n==null&&(n={}),typeof t!="string")throw new TypeError("Expected first argument to be a string");if(typeof n!="object")throw new TypeError("Expected second argument to be an options object");t=t.trim();let r="attached"in n?n.attached:"main",o="progress"in n?n.progress:null;if(!t)throw new TypeError("Backup filename cannot be an empty string");if(t===":memory:")throw new TypeError('Invalid backup filename ":memory:"');if(typeof r!="string")throw new TypeError('Expected the "attached" option to be a string');if(!r)throw new TypeError('The "attached" option cannot be an empty string');if(o!=null&&typeof o!="function")throw new TypeError('Expected the "progress" option to be a function');await ye(Bt.dirname(t)).catch(()=>{throw new TypeError("Cannot save backup because the directory does not exist")});let s=await ye(t).then(()=>!1,()=>!0);return qt(this[Pt].backup(this,r,t,s),o||null)};var qt=(e,t)=>{let n=0,r=!0;return new Promise((o,s)=>{setImmediate(function i(){try{let c=e.transfer(n);if(!c.remainingPages){e.close(),o(c);return}if(r&&(r=!1,n=100),t){let d=t(c);if(d!==void 0)if(typeof d=="number"&&d===d)n=Math.max(0,Math.min(2147483647,Math.round(d)));else throw new TypeError("Expected progress callback to return a number or undefined")}setImmediate(i)}catch(c){e.close(),s(c)}})})}});var Ae=T((mr,Le)=>{"use strict";var{cppdb:$t}=w();Le.exports=function(t){if(t==null&&(t={}),typeof t!="object")throw new TypeError("Expected first argument to be an options object");let n="attached"in t?t.attached:"main";if(typeof n!="string")throw new TypeError('Expected the "attached" option to be a string');if(!n)throw new TypeError('The "attached" option cannot be an empty string');return this[$t].serialize(n)}});var _e=T((gr,be)=>{"use strict";var{getBooleanOption:G,cppdb:Gt}=w();be.exports=function(t,n,r){if(n==null&&(n={}),typeof n=="function"&&(r=n,n={}),typeof t!="string")throw new TypeError("Expected first argument to be a string");if(typeof r!="function")throw new TypeError("Expected last argument to be a function");if(typeof n!="object")throw new TypeError("Expected second argument to be an options object");if(!t)throw new TypeError("User-defined function name cannot be an empty string");let o="safeIntegers"in n?+G(n,"safeIntegers"):2,s=G(n,"deterministic"),i=G(n,"directOnly"),c=G(n,"varargs"),d=-1;if(!c){if(d=r.length,!Number.isInteger(d)||d<0)throw new TypeError("Expected function.length to be a positive integer");if(d>100)throw new RangeError("User-defined functions cannot have more than 100 arguments")}return this[Gt].function(r,t,d,o,s,i),this}});var xe=T((Rr,De)=>{"use strict";var{getBooleanOption:j,cppdb:jt}=w();De.exports=function(t,n){if(typeof t!="string")throw new TypeError("Expected first argument to be a string");if(typeof n!="object"||n===null)throw new TypeError("Expected second argument to be an options object");if(!t)throw new TypeError("User-defined function name cannot be an empty string");let r="start"in n?n.start:null,o=Z(n,"step",!0),s=Z(n,"inverse",!1),i=Z(n,"result",!1),c="safeIntegers"in n?+j(n,"safeIntegers"):2,d=j(n,"deterministic"),E=j(n,"directOnly"),R=j(n,"varargs"),p=-1;if(!R&&(p=Math.max(Ie(o),s?Ie(s):0),p>0&&(p-=1),p>100))throw new RangeError("User-defined functions cannot have more than 100 arguments");return this[jt].aggregate(r,o,s,i,t,p,c,d,E),this};var Z=(e,t,n)=>{let r=t in e?e[t]:null;if(typeof r=="function")return r;if(r!=null)throw new TypeError(`Expected the "${t}" option to be a function`);if(n)throw new TypeError(`Missing required option "${t}"`);return null},Ie=({length:e})=>{if(Number.isInteger(e)&&e>=0)return e;throw new TypeError("Expected function.length to be a positive integer")}});var ke=T((Nr,Ue)=>{"use strict";var{cppdb:Yt}=w();Ue.exports=function(t,n){if(typeof t!="string")throw new TypeError("Expected first argument to be a string");if(!t)throw new TypeError("Virtual table module name cannot be an empty string");let r=!1;if(typeof n=="object"&&n!==null)r=!0,n=en(Fe(n,"used",t));else{if(typeof n!="function")throw new TypeError("Expected second argument to be a function or a table definition object");n=Vt(n)}return this[Yt].table(n,t,r),this};function Vt(e){return function(n,r,o,...s){let i={module:n,database:r,table:o},c=Qt.call(e,i,s);if(typeof c!="object"||c===null)throw new TypeError(`Virtual table module "${n}" did not return a table definition object`);return Fe(c,"returned",n)}}function Fe(e,t,n){if(!k.call(e,"rows"))throw new TypeError(`Virtual table module "${n}" ${t} a table definition without a "rows" property`);if(!k.call(e,"columns"))throw new TypeError(`Virtual table module "${n}" ${t} a table definition without a "columns" property`);let r=e.rows;if(typeof r!="function"||Object.getPrototypeOf(r)!==Zt)throw new TypeError(`Virtual table module "${n}" ${t} a table definition with an invalid "rows" property (should be a generator function)`);let o=e.columns;if(!Array.isArray(o)||!Me(o=[...o]))throw new TypeError(`Virtual table module "${n}" ${t} a table definition with an invalid "columns" property (should be an array of strings)`);if(o.length!==new Set(o).size)throw new TypeError(`Virtual table module "${n}" ${t} a table definition with duplicate column names`);if(!o.length)throw new RangeError(`Virtual table module "${n}" ${t} a table definition with zero columns`);let s;if(k.call(e,"parameters")){if(s=e.parameters,!Array.isArray(s)||!Me(s=[...s]))throw new TypeError(`Virtual table module "${n}" ${t} a table definition with an invalid "parameters" property (should be an array of strings)`)}else s=zt(r);if(s.length!==new Set(s).size)throw new TypeError(`Virtual table module "${n}" ${t} a table definition with duplicate parameter names`);if(s.length>32)throw new RangeError(`Virtual table module "${n}" ${t} a table definition with more than the maximum number of 32 parameters`);for(let E of s)if(o.includes(E))throw new TypeError(`Virtual table module "${n}" ${t} a table definition with column "${E}" which was ambiguously defined as both a column and parameter`);let i=2;if(k.call(e,"safeIntegers")){let E=e.safeIntegers;if(typeof E!="boolean")throw new TypeError(`Virtual table module "${n}" ${t} a table definition with an invalid "safeIntegers" property (should be a boolean)`);i=+E}let c=!1;if(k.call(e,"directOnly")&&(c=e.directOnly,typeof c!="boolean"))throw new TypeError(`Virtual table module "${n}" ${t} a table definition with an invalid "directOnly" property (should be a boolean)`);return[`CREATE TABLE x(${[...s.map(Ce).map(E=>`${E} HIDDEN`),...o.map(Ce)].join(", ")});`,Xt(r,new Map(o.map((E,R)=>[E,s.length+R])),n),s,i,c]}function Xt(e,t,n){return function*(...o){let s=o.map(i=>Buffer.isBuffer(i)?Buffer.from(i):i);for(let i=0;i<t.size;++i)s.push(null);for(let i of e(...o))if(Array.isArray(i))Kt(i,s,t.size,n),yield s;else if(typeof i=="object"&&i!==null)Jt(i,s,t,n),yield s;else throw new TypeError(`Virtual table module "${n}" yielded something that isn't a valid row object`)}}function Kt(e,t,n,r){if(e.length!==n)throw new TypeError(`Virtual table module "${r}" yielded a row with an incorrect number of columns`);let o=t.length-n;for(let s=0;s<n;++s)t[s+o]=e[s]}function Jt(e,t,n,r){let o=0;for(let s of Object.keys(e)){let i=n.get(s);if(i===void 0)throw new TypeError(`Virtual table module "${r}" yielded a row with an undeclared column "${s}"`);t[i]=e[s],o+=1}if(o!==n.size)throw new TypeError(`Virtual table module "${r}" yielded a row with missing columns`)}function zt({length:e}){if(!Number.isInteger(e)||e<0)throw new TypeError("Expected function.length to be a positive integer");let t=[];for(let n=0;n<e;++n)t.push(`$${n+1}`);return t}var{hasOwnProperty:k}=Object.prototype,{apply:Qt}=Function.prototype,Zt=Object.getPrototypeOf(function*(){}),Ce=e=>`"${e.replace(/"/g,'""')}"`,en=e=>()=>e,Me=e=>{for(let t=0;t<e.length;++t)if(typeof e[t]!="string")return!1;return!0}});var We=T((Or,ve)=>{"use strict";var tn=function(){};ve.exports=function(t,n){return Object.assign(new tn,this)}});var He=T((hr,Be)=>{"use strict";var nn=require("fs"),rn=require("path"),Y=w(),on=Q();Be.exports=function(t,n){function r(s,i){if(new.target==null)return new r(s,i);let c,d;if(Buffer.isBuffer(s))c=s,s=":memory:";else if(typeof s=="number"){if(!Number.isInteger(s)||s<0||s>2147483647)throw new TypeError("Expected the file descriptor to be a non-negative 32-bit integer");d=s,s=`fd:${d}`}if(s==null&&(s=""),i==null&&(i={}),typeof s!="string")throw new TypeError("Expected first argument to be a string");if(typeof i!="object")throw new TypeError("Expected second argument to be an options object");if("readOnly"in i)throw new TypeError('Misspelled option "readOnly" should be "readonly"');if("memory"in i)throw new TypeError('Option "memory" was removed in v7.0.0 (use ":memory:" filename instead)');let E=s.trim(),R=E===""||E===":memory:",p=Y.getBooleanOption(i,"readonly"),A=Y.getBooleanOption(i,"fileMustExist"),O="timeout"in i?i.timeout:5e3,M="verbose"in i?i.verbose:null,x="nativeBinding"in i?i.nativeBinding:null,a="journalFd"in i?i.journalFd:void 0;if(p&&R&&!c)throw new TypeError("In-memory/temporary databases cannot be readonly");if(!Number.isInteger(O)||O<0)throw new TypeError('Expected the "timeout" option to be a positive integer');if(O>2147483647)throw new RangeError('Option "timeout" cannot be greater than 2147483647');if(M!=null&&typeof M!="function")throw new TypeError('Expected the "verbose" option to be a function');if(d!==void 0&&a===void 0)throw new TypeError('The "journalFd" option is required when opening a database from a file descriptor');if(d===void 0&&a!==void 0)throw new TypeError('The "journalFd" option can only be used when opening a database from a file descriptor');if(a!==void 0&&!(Number.isInteger(a)&&a>=0&&a<=2147483647))throw new TypeError('Expected the "journalFd" option to be a non-negative 32-bit integer');if(!n&&"nativeBinding"in i)throw new TypeError('The "nativeBinding" option is only supported by the default better-sqlite3 entrypoint');if(n&&x!=null&&typeof x!="string"&&typeof x!="object")throw new TypeError('Expected the "nativeBinding" option to be a string or addon object');let u=t(x);if(u.isInitialized||(u.initialize(on,sn,an,cn,dn),u.isInitialized=!0),d===void 0&&!R&&!E.startsWith("file:")&&!nn.existsSync(rn.dirname(E)))throw new TypeError("Cannot open database because the directory does not exist");Object.defineProperties(this,{[Y.cppdb]:{value:new u.Database(E,s,R,p,A,O,M||null,c||null,d??null,a??null)},...o.getters})}let o=pe();return r.prototype.prepare=o.prepare,r.prototype.transaction=ge(),r.prototype.pragma=Ne(),r.prototype.explain=he(),r.prototype.backup=Se(),r.prototype.serialize=Ae(),r.prototype.function=_e(),r.prototype.aggregate=xe(),r.prototype.table=ke(),r.prototype.loadExtension=o.loadExtension,r.prototype.exec=o.exec,r.prototype.close=o.close,r.prototype.defaultSafeIntegers=o.defaultSafeIntegers,r.prototype.unsafeMode=o.unsafeMode,r.prototype[Y.inspect]=We(),r};function sn(...e){return e}function an(e,...t){let n=e.length;for(let r=0;r<t.length;++r)e[n+r]=t[r]}function cn(...e){if(!e.includes("__proto__")){let t=e.map((r,o)=>`v${o}`).join(","),n=e.map((r,o)=>`${JSON.stringify(r)}:v${o}`).join(",");return Function(`return (${t}) => ({${n}})`)()}return(...t)=>{let n={};for(let r=0;r<e.length;++r)n[e[r]]=t[r];return n}}function dn(e){return{value:e,done:!1}}});var qe=T((te,Pe)=>{"use strict";var K=require("fs"),X=require("path"),En=["linux","darwin","win32"],un=["x64","arm64"],V;function ln(e){if(typeof e=="string")return(typeof __non_webpack_require__=="function"?__non_webpack_require__:require)(X.resolve(e).replace(/(\.node)?$/,".node"));if(typeof e=="object"&&e!==null)return e;if(V)return V;let t=X.join(__dirname,"..","build","Debug","better_sqlite3.node");return K.existsSync(t)||(t=X.join(__dirname,"..","build","Release","better_sqlite3.node")),K.existsSync(t)?V=require(t):V=require(ee()||t)}function ee(){if(En.includes(process.platform)&&un.includes(process.arch)){let e=`${fn()?"linuxmusl":process.platform}-${process.arch}`,t=X.join(__dirname,"..","prebuilds",`${e}.node`);if(K.existsSync(t))return t}return null}function fn(){if(process.platform!=="linux")return!1;try{let n=K.readFileSync("/proc/self/maps","latin1");if(/\/ld-musl-[^/\s]*\.so/.test(n))return!0;if(/\/(?:ld-linux[^/\s]*|libc)\.so\.\d/.test(n))return!1}catch{}let{report:e}=process,t=e.excludeNetwork;e.excludeNetwork=!0;try{return!e.getReport().header.glibcVersionRuntime}finally{e.excludeNetwork=t}}te.getBinding=ln;te.getPrebuildPath=ee;require.main===Pe&&process.stdout.write(ee()?"1":"0")});var $e=T((yr,ne)=>{"use strict";ne.exports=He()(qe().getBinding,!0);ne.exports.SqliteError=Q()});var Jn={};It(Jn,{writeArchive:()=>Kn});module.exports=xt(Jn);var C=require("node:fs"),wt=require("node:path");var de=Symbol.for("el-ipc.error"),l=class extends Error{code;reason;[de]=!0;constructor(t,n,r,o){super(n,o),this.name="IpcError",this.code=t,this.reason=r}};function Ee(e){return typeof e=="object"&&e!==null&&de in e}function ue(e,t){return e instanceof Error&&"code"in e&&e.code===t}function h(e){return typeof e=="object"&&e!==null}function m(e){return h(e)?e:void 0}function y(e,t){let n=e[t];return n instanceof Uint8Array?Buffer.from(n.buffer,n.byteOffset,n.byteLength).toString():typeof n=="string"?n:n==null?"":String(n)}function f(e,t){let n=Number(e[t]);return Number.isFinite(n)?n:0}var z=`name, identity, public_key, role, registered_by, created_at,
  coalesce((SELECT v2_only FROM agent_rules WHERE agent_rules.name = agents.name), 0) AS v2_only`,or=`SELECT ${z} FROM agents WHERE name = ?`,sr=`SELECT ${z} FROM agents ORDER BY created_at, name`,ir=`SELECT ${z} FROM agents WHERE role = 'operator' ORDER BY rowid LIMIT 1`;function H(){return process.uptime()*1e3}var Ye=require("node:fs"),v=require("node:path");async function Ve(e,t){if(t==="better-sqlite3")return Ge(e);if(t==="node:sqlite")return je(e);try{return await Ge(e)}catch(n){if(nt(n))throw n;return je(e)}}async function Ge(e){if(Number(process.versions.napi)<10)throw new Error("better-sqlite3 needs Node-API 10");let{default:t}=await Promise.resolve().then(()=>Dt($e(),1)),n=new Error("better-sqlite3 is not installed");for(let r of pn())try{return new t(e,{timeout:0,nativeBinding:r})}catch(o){if(nt(o))throw o;n=o}throw n}function pn(){let t=(process.platform==="linux"?["linux","linuxmusl"]:[process.platform]).map(r=>`node_modules/better-sqlite3/prebuilds/${r}-${process.arch}.node`),n=[];for(let r=__dirname;n.length===0&&(n.push(...t.map(o=>(0,v.join)(r,o)).filter(o=>(0,Ye.existsSync)(o))),(0,v.dirname)(r)!==r);r=(0,v.dirname)(r));return n}function je(e){let{DatabaseSync:t}=Tn(()=>process.getBuiltinModule("node:sqlite")),n=new t(e);return{prepare:r=>n.prepare(r),exec:r=>n.exec(r),close:()=>n.close()}}function Tn(e){let t=process.emitWarning;process.emitWarning=()=>{};try{return e()}finally{process.emitWarning=t}}var mn=-1,Xe=1,Ke=5,Je=8,ze=10,Qe=11,Ze=13,et=14,tt=26;function J(e){if(!(e instanceof Error))return;if("errcode"in e&&typeof e.errcode=="number")return e.errcode&255;if(!("code"in e)||typeof e.code!="string"||!e.code.startsWith("SQLITE_"))return;let t=e.code.split("_").slice(0,2).join("_");return{SQLITE_ERROR:Xe,SQLITE_BUSY:Ke,SQLITE_READONLY:Je,SQLITE_IOERR:ze,SQLITE_CORRUPT:Qe,SQLITE_FULL:Ze,SQLITE_CANTOPEN:et,SQLITE_NOTADB:tt}[t]??mn}function nt(e){return J(e)!==void 0}function rt(e){return J(e)===Xe}function ot(e){return J(e)===Ke}function st(e){switch(J(e)){case Je:case et:return"can't be written: see whether this user may write to the file and to its folder, and whether the disk is read-only or full";case ze:return"can't be read or written: its disk is full or failing. Make room on it and try again; what was acknowledged is there";case Qe:return"is damaged: stop what has it open, move it away together with its -wal and -shm, and put a backup in its place, or begin anew without one";case tt:return"is not an SQLite database: set IPC_DB_PATH to another file or, if it was one, put a backup in its place";case Ze:return"can't grow: the disk is full. Make room on it and try again; what was acknowledged is there";default:return}}var gn=1e4,Rn=new Int32Array(new SharedArrayBuffer(4));async function I(e){for(let t;;){try{return e()}catch(n){if(!ot(n))throw n;if(t??=H()+gn,H()>t)throw new l("internal","The database is busy: another program has held it for 10 seconds",void 0,{cause:n})}Atomics.wait(Rn,0,0,.05+Math.random()*.95),await new Promise(setImmediate)}}var g=require("node:fs"),it=require("node:path");var Nn=["","-wal","-shm","-journal"];function at(e){let t=(0,it.dirname)(e);if(!(0,g.existsSync)(t))throw new l("invalid",`The database ${e} can't be opened: ${t} doesn't exist`);if(On(e),hn(t))for(let n of Nn)yn(e+n)}function On(e){try{(0,g.closeSync)((0,g.openSync)(e,g.constants.O_RDWR|g.constants.O_CREAT|g.constants.O_EXCL,384))}catch(t){if(ue(t,"EEXIST"))return;let n=t instanceof Error?t.message:String(t);throw new l("invalid",`The database ${e} can't be made: ${n}`,void 0,{cause:t})}}function hn(e){return process.platform!=="win32"&&((0,g.statSync)(e).mode&2)!==0}function yn(e){let t=(0,g.lstatSync)(e,{throwIfNoEntry:!1});if(t!==void 0){if(t.isSymbolicLink())throw re(e,"it is a symbolic link");if(!t.isFile())throw re(e,"it is not a file");if(t.uid!==process.getuid?.())throw re(e,"it belongs to somebody else")}}function re(e,t){return new l("invalid",`The database ${e} is refused: ${t}, in a folder that others can write to. Set IPC_DB_PATH to a file of your own`)}function ct(e,t){if(Ee(e))return e;let n=st(e);return n===void 0?e:new l("internal",`The database ${t} ${n}`,void 0,{cause:e})}var D=`id, channel, sender, CAST(content AS BLOB) AS content, created_at, signature,
  EXISTS (SELECT 1 FROM attested WHERE message_id = messages.id) AS attested`;var wn=`SELECT ${D} FROM messages
  WHERE channel = ? AND id > ? ORDER BY id LIMIT ?`,co=`SELECT ${D} FROM messages
  WHERE channel = ? AND id < ? ORDER BY id DESC LIMIT ?`,Sn=`SELECT ${D} FROM messages
  WHERE channel = ? AND id > ? AND sender <> ? ORDER BY id LIMIT ?`,Ln="SELECT count(*) AS pending FROM messages WHERE channel = ? AND id > ?",se="AND NOT EXISTS (SELECT 1 FROM taken WHERE message_id = messages.id AND settled = 1)",Eo=wn.replace("ORDER BY",`${se} ORDER BY`),uo=Sn.replace("ORDER BY",`${se} ORDER BY`),lo=`${Ln} ${se}`;var fo=`SELECT ${D} FROM messages WHERE id = ?`;var po=`SELECT ${D} FROM messages WHERE id > ? ORDER BY id LIMIT ?`;var Oo=`SELECT ${D} FROM messages WHERE channel = ? AND id > ?
  AND NOT EXISTS (SELECT 1 FROM taken WHERE message_id = messages.id AND (settled = 1 OR lease_until > ?))
  ORDER BY id LIMIT ?`;var dt=`-- The tables of the Python original, by their own names: one database file serves both programs at the same time.
CREATE TABLE IF NOT EXISTS messages (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  channel    TEXT NOT NULL,
  sender     TEXT NOT NULL,
  content    TEXT NOT NULL,
  created_at REAL NOT NULL,
  read_by    TEXT DEFAULT '',
  signature  TEXT DEFAULT ''
);

CREATE TABLE IF NOT EXISTS watermarks (
  agent   TEXT NOT NULL,
  channel TEXT NOT NULL,
  last_id INTEGER DEFAULT 0,
  PRIMARY KEY (agent, channel)
);

CREATE TABLE IF NOT EXISTS agents (
  name          TEXT PRIMARY KEY,
  identity      TEXT NOT NULL DEFAULT '',
  public_key    TEXT NOT NULL,
  role          TEXT NOT NULL DEFAULT 'agent',
  registered_by TEXT,
  created_at    REAL NOT NULL
);
`;var Et=`-- Reading costs what is unread, and listing costs what channels there are, however much is stored.
CREATE INDEX messages_by_channel ON messages (channel, id);

-- Kept by triggers, so that the original's own writes count too.
CREATE TABLE channel_counts (
  channel      TEXT PRIMARY KEY,
  count        INTEGER NOT NULL,
  last_message REAL NOT NULL
) WITHOUT ROWID;

INSERT INTO channel_counts (channel, count, last_message)
  SELECT channel, count(*), max(created_at) FROM messages GROUP BY channel;

CREATE TRIGGER messages_counted AFTER INSERT ON messages BEGIN
  INSERT INTO channel_counts (channel, count, last_message) VALUES (NEW.channel, 1, NEW.created_at)
    ON CONFLICT (channel) DO UPDATE SET count = count + 1, last_message = max(last_message, NEW.created_at);
END;

CREATE TRIGGER messages_uncounted AFTER DELETE ON messages BEGIN
  UPDATE channel_counts SET count = count - 1 WHERE channel = OLD.channel;
  DELETE FROM channel_counts WHERE channel = OLD.channel AND count <= 0;
END;

-- The original replaces whole rows of agents: an operator's must stay, or secure mode would end with it.
CREATE TRIGGER operators_stay BEFORE INSERT ON agents
  WHEN EXISTS (SELECT 1 FROM agents WHERE name = NEW.name AND role = 'operator')
BEGIN
  SELECT RAISE(ABORT, 'an operator cannot be replaced');
END;
`;var ut=`-- What we add to a message, an agent or a request stands in tables of our own: the original replaces whole rows of its.

-- Signed requests happen once. Kept for an hour, which is longer than a request is taken for.
CREATE TABLE nonces (
  signer     TEXT NOT NULL,
  nonce      TEXT NOT NULL,
  digest     TEXT NOT NULL,
  message_id INTEGER NOT NULL,
  seen_at    REAL NOT NULL,
  PRIMARY KEY (signer, nonce)
) WITHOUT ROWID;

CREATE INDEX nonces_by_age ON nonces (seen_at);

-- Messages whose sender showed a token instead of a signature.
CREATE TABLE attested (message_id INTEGER PRIMARY KEY);

CREATE TRIGGER attested_gone AFTER DELETE ON messages BEGIN
  DELETE FROM attested WHERE message_id = OLD.id;
END;

CREATE TABLE agent_rules (
  name    TEXT PRIMARY KEY,
  v2_only INTEGER NOT NULL
) WITHOUT ROWID;

-- Agents whose key was revoked. They leave the table of agents, so that the original refuses them too.
CREATE TABLE revoked_agents (
  name          TEXT PRIMARY KEY,
  public_key    TEXT NOT NULL,
  registered_by TEXT,
  revoked_at    REAL NOT NULL
) WITHOUT ROWID;
`;var lt=`-- Who reads a channel, and how far: receipts, and what everybody has consumed.
CREATE INDEX watermarks_by_channel ON watermarks (channel, last_id);
`;var ft=`CREATE TABLE peers (
  id           TEXT PRIMARY KEY,
  role         TEXT NOT NULL,
  capabilities TEXT NOT NULL,
  agent        TEXT,
  connected_at REAL NOT NULL,
  last_seen    REAL NOT NULL,
  waiting_for  TEXT
);

CREATE TABLE orders (
  seq           INTEGER PRIMARY KEY AUTOINCREMENT,
  id            TEXT NOT NULL UNIQUE,
  kind          TEXT NOT NULL,
  sender        TEXT NOT NULL,
  sender_id     TEXT,
  target        TEXT,
  target_role   TEXT NOT NULL,
  action        TEXT NOT NULL,
  params        TEXT NOT NULL,
  created_at    REAL NOT NULL,
  lease_seconds REAL NOT NULL,
  expires_at    REAL,
  status        TEXT NOT NULL DEFAULT 'pending',
  attempts      INTEGER NOT NULL DEFAULT 0,
  holder        TEXT,
  lease_until   REAL,
  result        TEXT NOT NULL DEFAULT 'null',
  ended_at      REAL
);

-- Only what may still be handed out: looking for an order costs what is open, however many have ended.
CREATE INDEX orders_open_by_target ON orders (target, seq) WHERE status IN ('pending', 'leased');
CREATE INDEX orders_open_by_role ON orders (target_role, seq) WHERE status IN ('pending', 'leased') AND target IS NULL;

-- What nobody may take any more, by time or by how often it was handed out.
CREATE INDEX orders_open_by_expiry ON orders (expires_at) WHERE status IN ('pending', 'leased') AND expires_at IS NOT NULL;
CREATE INDEX orders_open_by_attempts ON orders (attempts) WHERE status IN ('pending', 'leased');

-- What a peer is and was ordered, what came to the same end, and what ended long ago.
CREATE INDEX orders_by_target ON orders (target, status);
CREATE INDEX orders_by_holder ON orders (holder, status);
CREATE INDEX orders_by_status ON orders (status);
CREATE INDEX orders_by_end ON orders (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE signals (
  name   TEXT PRIMARY KEY,
  data   TEXT NOT NULL,
  sender TEXT NOT NULL,
  set_at REAL NOT NULL
);

-- What changed, for those who follow it live. Messages are a journal by themselves.
CREATE TABLE journal (
  seq  INTEGER PRIMARY KEY AUTOINCREMENT,
  at   REAL NOT NULL,
  kind TEXT NOT NULL,
  key  TEXT NOT NULL,
  what TEXT NOT NULL
);

CREATE TRIGGER journal_bounded AFTER INSERT ON journal WHEN NEW.seq % 100 = 0 BEGIN
  DELETE FROM journal WHERE seq <= NEW.seq - 10000;
END;

CREATE TRIGGER peer_connected AFTER INSERT ON peers BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'peer', NEW.id, 'connected');
END;

CREATE TRIGGER peer_changed AFTER UPDATE OF role ON peers BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'peer', NEW.id, 'changed_role');
END;

CREATE TRIGGER peer_waits AFTER UPDATE OF waiting_for ON peers WHEN OLD.waiting_for IS NOT NEW.waiting_for BEGIN
  INSERT INTO journal (at, kind, key, what)
    VALUES (unixepoch('subsec'), 'peer', NEW.id, CASE WHEN NEW.waiting_for IS NULL THEN 'works' ELSE 'waits' END);
END;

CREATE TRIGGER peer_left AFTER DELETE ON peers BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'peer', OLD.id, 'left');
END;

CREATE TRIGGER order_sent AFTER INSERT ON orders BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'order', NEW.id, NEW.status);
END;

CREATE TRIGGER order_changed AFTER UPDATE OF status ON orders WHEN OLD.status <> NEW.status OR OLD.attempts <> NEW.attempts BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'order', NEW.id, NEW.status);
END;

CREATE TRIGGER signal_set AFTER INSERT ON signals BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'signal', NEW.name, 'set');
END;

CREATE TRIGGER signal_set_again AFTER UPDATE ON signals BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'signal', NEW.name, 'set');
END;

CREATE TRIGGER signal_cleared AFTER DELETE ON signals BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'signal', OLD.name, 'cleared');
END;
`;var pt=`-- Messages of mailboxes that were handed out: until when nobody else gets them, and which have arrived. A row goes once
-- its reader's watermark is past it.
CREATE TABLE taken (
  message_id  INTEGER PRIMARY KEY,
  channel     TEXT NOT NULL,
  lease_until REAL NOT NULL,
  settled     INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX taken_by_channel ON taken (channel, message_id);

CREATE TRIGGER taken_gone AFTER DELETE ON messages BEGIN
  DELETE FROM taken WHERE message_id = OLD.id;
END;
`;var Tt=`-- Whether an agent is connected is asked with each one that connects.
CREATE INDEX peers_by_agent ON peers (agent, connected_at, id);
`;var W=[dt,Et,ut,lt,ft,pt,Tt];async function gt(e,t){let n=await I(()=>mt(e));if(n!==W.length){if(n>W.length)throw new l("invalid",`The database ${t} was made by a newer el-ipc; update this one to use it`);await I(()=>e.prepare("PRAGMA journal_mode = WAL").get()),await I(()=>e.exec("BEGIN IMMEDIATE"));try{for(let r=mt(e);r<W.length;r++)e.exec(W[r]??""),r===0&&Fn(e),e.exec(`PRAGMA user_version = ${r+1}`);e.exec("COMMIT")}catch(r){if(Mn(e),!rt(r))throw r;let o=`The database ${t} holds tables of another program; set IPC_DB_PATH to a file of its own`;throw new l("invalid",o,void 0,{cause:r})}}}function Mn(e){try{e.exec("ROLLBACK")}catch{}}function mt(e){return f(m(e.prepare("PRAGMA user_version").get())??{},"user_version")}function Fn(e){e.prepare("PRAGMA table_info (messages)").all().filter(h).some(n=>y(n,"name")==="signature")||e.exec("ALTER TABLE messages ADD COLUMN signature TEXT DEFAULT ''")}var Ot="(SELECT role FROM peers WHERE id = ?)",ie="status IN ('pending', 'leased')",ae=`${ie} AND (status = 'pending' OR lease_until <= ?)`,Nt=`${ae} AND (expires_at IS NULL OR expires_at > ?) AND attempts < ?`,os=`SELECT seq, id FROM (
    SELECT * FROM (SELECT seq, id FROM orders WHERE target = ? AND ${Nt} ORDER BY seq LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT seq, id FROM orders WHERE target IS NULL AND target_role = ${Ot} AND ${Nt}
      ORDER BY seq LIMIT 1)
  ) ORDER BY seq LIMIT 1`,ss=`SELECT min(at) AS at FROM (
    SELECT min(lease_until) AS at FROM orders WHERE target = ? AND ${ie}
    UNION ALL
    SELECT min(lease_until) FROM orders WHERE target IS NULL AND target_role = ${Ot} AND ${ie}
  )`;var is=`SELECT seq FROM orders WHERE expires_at <= ? AND ${ae}
  UNION SELECT seq FROM orders WHERE attempts >= ? AND ${ae}`;var kn="SELECT seq FROM orders WHERE ended_at < ? ORDER BY ended_at LIMIT ?",as=`DELETE FROM orders WHERE seq IN (${kn}) RETURNING seq`;var ht="SELECT key FROM journal WHERE seq > ?",ms=`DELETE FROM peers WHERE id NOT IN (${ht} AND kind = 'peer' AND what = 'connected')`,gs=`DELETE FROM signals WHERE name NOT IN (${ht} AND kind = 'signal')`;async function yt({path:e,durability:t="full",driver:n}){at(e);let r=await vn(e,n);try{return await gt(r,e),await I(()=>r.exec(`PRAGMA synchronous = ${t==="full"?"FULL":"NORMAL"}`)),r}catch(o){throw r.close(),ct(o,e)}}async function vn(e,t){try{return await Ve(e,t)}catch(n){let r=n instanceof Error?n.message:String(n);throw new l("invalid",`The database ${e} can't be opened: ${r}`,void 0,{cause:n})}}var Wn=["messages",["id","channel","sender","content","created_at","signature"]],Bn=["attested",["message_id"]],Hn=["watermarks",["agent","channel","last_id"]],Pn=["nonces",["signer","nonce","digest","message_id","seen_at"]],qn=["agents",["name","identity","public_key","role","registered_by","created_at"]],$n=["agent_rules",["name","v2_only"]],Gn=["revoked_agents",["name","public_key","registered_by","revoked_at"]],jn=["peers",["id","role","capabilities","agent","connected_at","last_seen","waiting_for"]],Yn=["orders",["id","kind","sender","sender_id","target","target_role","action","params","created_at","lease_seconds","expires_at","status","attempts","holder","lease_until","result","ended_at"]],Vn=["signals",["name","data","sender","set_at"]],Xn=["journal",["seq","at","kind","key","what"]];async function Kn(e,t){(0,C.mkdirSync)((0,wt.dirname)(e),{recursive:!0,mode:448}),(0,C.closeSync)((0,C.openSync)(e,"wx",384));let n=await yt({path:e}),r=([s,i])=>{let c=i.map(()=>"?").join(", "),d=n.prepare(`INSERT INTO ${s} (${i.join(", ")}) VALUES (${c})`);return(...E)=>{d.run(...E)}},o=s=>JSON.stringify(s??null);try{n.exec("BEGIN IMMEDIATE");let[s,i]=[r(Wn),r(Bn)];for await(let{id:a,channel:u,sender:N,content:L,timestamp:_,signature:F,attested:U}of t.messages)s(a,u,N,L,_,F),U&&i(a);let c=r(Hn);for await(let{agent:a,channel:u,lastId:N}of t.watermarks)c(a,u,N);let d=r(Pn);for await(let a of t.nonces)d(a.signer,a.nonce,a.digest,a.messageId,a.at);let[E,R,p]=[r(qn),r($n),r(Gn)];for(let{name:a,identity:u,publicKey:N,role:L,registeredBy:_,createdAt:F,v2Only:U}of t.agents)E(a,u,N,L,_,F),U&&R(a,1);for(let{name:a,publicKey:u,registeredBy:N}of t.revoked)p(a,u,N,0);let A=r(jn);for(let{id:a,role:u,capabilities:N,agent:L,connectedAt:_,lastSeen:F,waitingFor:U}of t.peers)A(a,u,o(N),L,_,F,U);let O=r(Yn);for await(let a of t.orders)O(a.id,a.kind,a.from,a.fromId,a.target,a.targetRole,a.action,o(a.params),a.createdAt,a.leaseSeconds,a.expiresAt,a.status,a.attempts,a.holder,a.leaseUntil,o(a.result),a.endedAt);let M=r(Vn);for await(let{name:a,data:u,sender:N,setAt:L}of t.signals)M(a,o(u),N,L);n.exec("DELETE FROM journal");let x=r(Xn);for(let{seq:a,at:u,kind:N,key:L,what:_}of t.journal)x(a,u,N,L,_);n.exec("COMMIT")}finally{n.close()}}0&&(module.exports={writeArchive});
