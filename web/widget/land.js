// @ts-check
/**
 * The outline of land and the middle of each country, made by tools/globe.mjs, which tells the
 * form. From Natural Earth (naturalearthdata.com), which is in the public domain.
 */
export const LAND =
  '*b),G?5-<1,<4(CCWckalbsvmkkrlcYDaCLCa`sietmxfmoKfSSSQ4JJAd[KJ[JwcLLaf]RK^X_eCHEWZW)?MD?O' +
  '>Ord`_FHA@OGFb``ELGE=<DWNll^TchSYSp]Ql[>FHSSSZdRYX]SMMWdfXD;=IE4DrEWk]]ygS]SJOQSJBDWMI>R' +
  'YS[RZaJQF^^F]SHZXQKKYNcfJFHGH;QfYXYO[YHFQYRScSSOZTS^SfATSEDTSTJYT9ZTKXZSTJJSS@^SIQXSSJJB' +
  'XSIDGVUGM7NM:XND<Q4E2sdggc:XEDHMMML;:JR?+<2M16>DlQWcCZY:?S;8,2;EDFb;7-G1YaV+9?5`kamkkEOc' +
  'ka:F;;55<sslbMqMVMXF`aN@6Z>Re?A3;D;MDuqkrc=a7.H58/@]]4+2;2= (O)xKS]SI[GSSSHORKZOZRSI]IGe' +
  'WdIHHG[Q?mSIFHNM=C2=R?JTJ>@dbfa[bTK?Hf9FJAG:MME;]]QF?RZHEDO[M:HCRN=OHFcGO?<265WsNLHWM2>4' +
  '7I]d]44SJ+@[Je]QF>dZISSGA@SA?=RGQJGSRJI,(>5*D:+<2EW?=C>MGIN=FOI)HDG_cXeNnQcFvbnduvukWVss' +
  'XYdXYnetW=aVkU_NVVakijiO>8/OaY`Zr_kallbIc_XiiVVVLEDd;1MC]]eNMXWXZ^OZC`^IWVZ]]STTTK )3**U' +
  'WVSRJTTHLC )S)eFK>OYFUnQ )7)sKMLdI )<*(STJ@NKJ<U8UAVVVDXQTdYVVMMLXRNYeRFQ^?R ),**T:XZ (b' +
  '*,^]FMD (c**SJDCVeOS (q*,RGMDWRMM]SJXYI (r*)AJNHLMLUSRVMRV^QOSRIYQ (y*)N[SFQGF_R ))*-GGW' +
  'M]R )+*1TJJMCXQUZ )/*2SS^SSTSTSMDSDDMDREDRDLLZYSM]WSRVMU +w).KAF0V`EWMZbUOX[VS>Q[K +])6e' +
  '@<@O=4VMt[p +e)2[=LGQRF6OZEc4kmZR +U)+KKMVLOZR +Q)0@5OrrhR98 )F(MHJDV_K[ )C)CN[XSIC +G*1' +
  'RKGNMU] +u*,SSFNMN[ *q**[]R^TCDC;JMMn +y)h?6NG?XFulYQ *I*0TJDD`VSR *U*0CVMSTS )]*3TTT^TS' +
  'JMMCTTTTJLCREGILIGOINDIMJLQFTCDCDC;5NVhjoLZSWMZhMMLWTVM^SW][SSTSSRW )9)HT9LQaVD] *m(w,44' +
  '4EXbvcof *4)h=MZX[RG ,I(ZFOYOma8S< ,B(VxH4N3Wf ,,(Y>EkS +h(c<LEVdkjQu^]onQJd[XK4J@wm-Q-J' +
  '?Q76+=3:XFVbNcFd<a`ND *7)grdRFR=J@=MD[WQXR *+)tHEDUQWRWRQSS +h)9=bEdRY? +d)C,RGVYOvH +x)' +
  'X*:bCH=Obg]Z[mQ? ,))^HDXFOwA )Z(4SR?LMCf[ )A(;RY[@FMMZ (((-S^STTKTTTSLVLdUSS]RMVMVYTS]RY' +
  'QTTTTTT^SITTSQVXTK]SQSSTJ^S[an]f]GCG:96DDCMMJLGKKKTK^TTS^S^SXMMZ]^S^S[Z][JYTJ^^J[TSTS^SS' +
  'I^^^^JJTTHEHFRg^]^]ISST]J^TSJTT^SY@TTKSIKKSSJ<M<?INM<JJJTTJ';

export const PLACES =
  'D-+CE.N@F.j;G+>(I+;hL-SSM.:GO-NIQ+]0R+6^S(=,T-F9U0_LW+,.X-SgZ.A/ A-O0B+BJD/MeE-23F,t)G-_' +
  'dH.GZI-jCJ-*tL+;hM+7ON04EO+6pR+QgS*lDT/MhW-[aY-fVZ*R_ A*62D-[tF-S1G-GmH-8iI,k*K(UTL+);M-' +
  'CMN/n7O*w=R*^fU*j.V,AqW+.@Y-qQZ-HN E-=AJ.5VK-;3M+@9O+)sZ--G C*l*E-b5G-jaH,]kR.,_S,oqT..l' +
  ' I-b;J1poK+CnM1COO,iMR-+G A-A3B,r@D+=uE.86G,r;H,v8I,mYL+n]M,UxN,_pQ-<bR-Z9S+uyT*PJU0xQW,' +
  'UwY+DU K02DM/)+N*W1R-J]T*wLU-QF D02.E,g1L-utM,mlN/7GO.w3Q.8-R.NIS,M`T-Aa E,tNM*nPO.(HP0i' +
  '5 E.*=G/,KH/p2I(]SM.5>N+;gP0OZR0QjW.@vY*eVZ.l] A/mwB-x8C+@8I-==K/9KR,d@S-eST-]]U-4EV-_rY' +
  '-Nq A,flC-6RD-fOE-QBF+;hG.>2H1aSK-X)L,oYM/[1N/l.O02DP1(gR,b;S+>(T-F-U.VaV/)eW-s4X*3NY04E' +
  'Z-wV A-L,C1RhE-:^F1YGG-8CI*[UL-4GO-FIP/@GR1WPU(?:Z1`r M.Rd A*g`E*toF(o5G0v*H0AsK.pqL-QKM' +
  '+KhN)L)R+5.S-uuT,fvW0b0Y+FL A.GY O-_gS-UjU/eUW-jD A.:7B1GeC.P6D-jVE-M0G/meH,jdI-HJK-QHL,' +
  '][M-AaN,X:O.<7R+K<S-jMT-5xV*R[X+;hY.,sZ-l> C*ycD-PxF.osG-(`H/g9J.uNL0LhM.Y^N-=0O(4*R-v*T' +
  '+@4V1s9W0B)Z-uN A-m9G-nnM(QIS*<YY+JiZ.c[ A-A_C+@7E+4uG+7AI+7AN/rIU1WB F(-IS(:k  E.@i A-^' +
  'mM-eeW-j3';
